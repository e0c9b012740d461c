"""QAN: RQEN with one region, the whole body."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(division=(1.0,))
