"""The mean of whole-body features, trained by identity classification alone (Table 2)."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(division=(1.0,), quality="uniform", distance_loss=False)
