"""The piece is left out, with a reason or without."""

from lpw_toolkit.cleaning.field import Choice
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

REASONS = (
    "no_person", "several_people", "identity_switch", "occluded", "truncated", "blurred", "static",
    "duplicate", "too_short", "other",
)  # fmt: skip
OPERATION = Operation(
    "rejected",
    Role.REJECT,
    arguments={"reason": Choice(REASONS)},
    page=PageKey("x", "reject, then a reason"),
)
