"""Another decision counts no more; undoing the undo brings it back."""

from lpw_toolkit.cleaning.field import Uuid
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

OPERATION = Operation(
    "undo",
    Role.UNDO,
    n_tracklets=(0, 0),
    arguments={"of": Uuid(description="uuid of the decision that no longer counts.")},
    page=PageKey("u", "undo"),
)
