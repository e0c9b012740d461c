"""The person of the pieces gets a number in its scene."""

from lpw_toolkit.cleaning.field import Whole
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

OPERATION = Operation(
    "person number",
    Role.NUMBER,
    arguments={"person": Whole(0, 999_999, description="Number of the person in the scene.")},
    page=PageKey("P", "give the person a number", question="Number of this person in the scene"),
)
