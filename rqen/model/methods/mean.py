"""Mean pooling: the baseline with the distance loss of the recipe."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(division=(1.0,), quality="uniform")
