"""RQEN with the same quality for all frames (Table 2)."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(quality="uniform")
