"""RQEN: region-based quality estimation."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec()
