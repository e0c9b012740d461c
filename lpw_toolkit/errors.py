"""The few kinds of error a user can meet: one line each, *thing: got X; expected Y; do Z*."""


class LpwError(Exception):
    """A fault of the input or of the call, told in one line without a traceback.

    Args:
        thing: what is wrong, usually a path or an option.
        got: what was found.
        expected: what should have been there.
        do: the remedy.
    """

    exit_code = 2

    def __init__(self, thing: object, got: str, expected: str, do: str) -> None:
        self.thing, self.got, self.expected, self.do = str(thing), got, expected, do
        super().__init__(" ".join(f"{thing}: got {got}; expected {expected}; {do}".splitlines()))


class MismatchError(LpwError):
    """Data that does not match its own manifest (exit code 3)."""

    exit_code = 3


class CorruptCropError(MismatchError):
    """An image whose bytes are not the ones that the index names."""


class PartialError(LpwError):
    """The work ended, but parts of the input could not be used (exit code 4)."""

    exit_code = 4
