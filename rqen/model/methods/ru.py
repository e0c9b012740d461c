"""RQEN with the upper region alone (Table 2)."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(region=0)
