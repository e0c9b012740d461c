"""A piece is marked with a word."""

from lpw_toolkit.cleaning.field import WORDS, Match
from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

OPERATION = Operation(
    "flagged",
    Role.FLAG,
    arguments={"flag": Match(WORDS, 40)},
    page=PageKey("f", "flag to look at again", {"flag": "look-again"}),
)
