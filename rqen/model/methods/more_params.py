"""As many parameters as RQEN, but the scores are appended, not used as weights (Table 2)."""

from rqen.model.method import MethodSpec

METHOD = MethodSpec(quality="appended")
