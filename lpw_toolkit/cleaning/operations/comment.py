"""A piece gets a note."""

from lpw_toolkit.cleaning.field import Text
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

OPERATION = Operation(
    "comment",
    Role.COMMENT,
    arguments={"text": Text(4_000, description="Text, never markup.")},
    page=PageKey("c", "comment", question="Comment"),
)
