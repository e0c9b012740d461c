"""The piece shows one person, and all of it is kept."""

from lpw_toolkit.cleaning.operation import Operation, PageKey, Role

OPERATION = Operation("accepted", Role.ACCEPT, page=PageKey("Space", "accept, next"))
