"""Walks a pickle of tensors without building any: checks the storages it names and the extent of
each tensor.

The instructions are those that torch's own restricted reader knows; names stand for themselves and
are never imported.
Source: pytorch/pytorch:torch/_weights_only_unpickler.py (the instructions), torch/_utils.py (the
arguments).
"""

import pickle
import re
from collections import OrderedDict
from typing import Any, BinaryIO, ClassVar

_ITEM_BYTES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
    "ComplexFloatStorage": 8, "ComplexDoubleStorage": 16,
}  # fmt: skip
_TENSORS = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_PLAIN = {  # functions whose answers are as large as their arguments
    "torch Size", "torch device", "collections OrderedDict", "collections Counter",
    "__builtin__ set", "builtins set",
    "__builtin__ complex", "builtins complex",
}  # fmt: skip
_FOR_NETWORKS = {
    "_codecs encode", "__builtin__ getattr", "builtins getattr", "numpy dtype",
    "numpy.core.multiarray scalar",
    "numpy._core.multiarray scalar",
}  # fmt: skip
_NETWORKS = re.compile(
    r"(torch\.nn\.(modules|parameter)|ultralytics|torchvision\.transforms|clip|pathlib)[\w.]* \w+"
    r"|(__builtin__|builtins) slice"
)
_ANY_ARGUMENTS = re.compile(r"pathlib[\w.]* \w+|torchvision\S* InterpolationMode")
_DTYPE = re.compile(r"torch (b?float|u?int|complex|bool)\w*")
_MAX_INT = 1 << 32
_MAX_SIDES = 64
_MORE = "a file that holds more than tensors"
_MORE_THAN_NETWORK = "a file that safe loading refuses: it holds more than a network, or is damaged"
_INSTRUCTIONS = (
    *(
        "PROTO",
        "STOP",
        "MARK",
        "GLOBAL",
        "REDUCE",
        "NEWOBJ",
        "BUILD",
        "BINPERSID",
        "APPEND",
        "APPENDS",
        "SETITEM",
    ),
    *(
        "SETITEMS",
        "TUPLE",
        "TUPLE1",
        "TUPLE2",
        "TUPLE3",
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "EMPTY_TUPLE",
        "EMPTY_LIST",
    ),
    *(
        "EMPTY_DICT",
        "BININT",
        "BININT1",
        "BININT2",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINSTRING",
        "BINGET",
    ),
    *("LONG_BINGET", "BINPUT", "LONG_BINPUT", "LONG1"),
)


class RefusedPickleError(Exception):
    """What was found in a file that nobody may load."""


class _Name(str):
    """A function or class, `module name`: never imported."""

    __slots__ = ()


class _Thing:
    """Something built, of which only that it is there is known."""


class _Tensor:
    """A tensor or parameter, which fits in its storage; torch lets a file lay it anew, which is
    refused."""


class _Storage:
    """A storage: how many items it has."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items


class Claims(dict[str, int]):
    """Bytes of each storage by its key; `item_bytes` has those of one item."""

    def __init__(self) -> None:
        super().__init__()
        self.item_bytes: dict[str, int] = {}


def follow_pickle(stream: BinaryIO, *, modules: bool = False) -> Claims:
    """Follows one pickle of `stream`, which is left behind it.

    Args:
        modules: whether networks may be in it too.

    Errors: RefusedPickleError for more than that, and tensors beyond their storage; ValueError and
    others for damaged ones.
    """
    walker = _Walker(stream, modules=modules)
    walker.load()
    return walker.claims


def read_plain(stream: BinaryIO) -> Any:
    """The numbers, texts, lists and dictionaries of one pickle of `stream`. Errors: as
    `follow_pickle`."""
    return _Walker(stream, modules=False).load()


class _Walker(pickle._Unpickler):  # the one in C takes memory for its memo at a word
    stack: list[Any]
    append: Any
    pop_mark: Any

    def __init__(self, stream: BinaryIO, *, modules: bool) -> None:
        super().__init__(stream, encoding="latin1")
        self.modules, self.claims = modules, Claims()

    def find_class(self, module: str, name: str) -> _Name:
        full = f"{module} {name}"
        storage = module in ("torch", "torch.storage") and name in _ITEM_BYTES
        known = (
            storage
            or full in _TENSORS
            or full in _PLAIN
            or full == "torch._utils _rebuild_parameter"
        )
        if not known and not _DTYPE.fullmatch(full):
            if not self.modules:
                raise RefusedPickleError(_MORE)
            if full not in _FOR_NETWORKS and not _NETWORKS.fullmatch(full):
                raise RefusedPickleError(_MORE_THAN_NETWORK)
        return _Name(full)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, n_items, *view = pid
        storage = storage.rpartition(" ")[2] if isinstance(storage, _Name) else ""
        if (
            kind != "storage"
            or storage not in _ITEM_BYTES
            or not isinstance(key, str)
            or type(n_items) is not int
        ):
            raise RefusedPickleError("a damaged file")
        n_bytes = n_items * _ITEM_BYTES[storage]
        if n_bytes < 0 or self.claims.setdefault(key, n_bytes) != n_bytes:
            raise RefusedPickleError("numbers that are not in the file")
        self.claims.item_bytes[key] = _ITEM_BYTES[storage]
        if view and view[0] is not None:
            _, offset, n_seen = view[0]
            if not 0 <= offset <= offset + n_seen <= n_items:
                raise RefusedPickleError("a tensor that is larger than its numbers")
            n_items = n_seen
        return _Storage(n_items)

    def _reduce(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Name) or not isinstance(arguments, tuple):
            raise RefusedPickleError(_MORE_THAN_NETWORK if self.modules else _MORE)
        self.append(self._answer(str(function), arguments))

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name in _TENSORS:
            _check_tensor(*arguments[:4])
            return _Tensor()
        if name == "torch._utils _rebuild_parameter":
            if not isinstance(arguments[0], _Tensor):
                raise RefusedPickleError("a damaged file")
            return _Tensor()
        if name in _PLAIN:
            for argument in arguments:
                _refuse_nested(argument)
            return (
                OrderedDict() if name == "collections OrderedDict" and not arguments else _Thing()
            )
        # A constructor takes the memory that it is asked for.
        if arguments and name not in _FOR_NETWORKS and not _ANY_ARGUMENTS.fullmatch(name):
            raise RefusedPickleError(_MORE_THAN_NETWORK)
        return _Thing()

    def _new(self) -> None:
        arguments, kind = self.stack.pop(), self.stack.pop()
        if not isinstance(kind, _Name) or arguments != () or not self.modules:
            raise RefusedPickleError(_MORE_THAN_NETWORK if self.modules else _MORE)
        self.append(_Thing())

    def _build(self) -> None:
        self.stack.pop()
        if type(self.stack[-1]) not in (_Thing, OrderedDict):
            raise RefusedPickleError(_MORE)

    def _append(self) -> None:
        item = self.stack.pop()
        self._target(list).append(item)

    def _extend(self) -> None:
        items = self.pop_mark()
        self._target(list).extend(items)

    def _set_one(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._target(dict)[_check_key(key)] = value

    def _set_many(self) -> None:
        items = self.pop_mark()
        target = self._target(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_check_key(key)] = value

    def _target(self, kind: type) -> Any:
        target = self.stack[-1]
        if not isinstance(target, kind):
            raise RefusedPickleError("a damaged file")
        return target

    dispatch: ClassVar[dict[int, Any]] = {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in _INSTRUCTIONS
    } | {
        pickle.REDUCE[0]: _reduce, pickle.NEWOBJ[0]: _new, pickle.BUILD[0]: _build,
        pickle.APPEND[0]: _append,
        pickle.APPENDS[0]: _extend, pickle.SETITEM[0]: _set_one, pickle.SETITEMS[0]: _set_many,
    }  # fmt: skip


def _check_key(key: Any) -> Any:
    """A key whose hash costs nothing. Errors: RefusedPickleError for others, and numbers made to
    collide."""
    if (type(key) is int and abs(key) < _MAX_INT) or type(key) in (str, bool, bytes, type(None)):
        return key
    raise RefusedPickleError("names that are none")


def _refuse_nested(argument: Any) -> None:
    """Errors: RefusedPickleError for anything but a plain value, or a short list of them."""
    values = argument if type(argument) in (list, tuple) else [argument]
    for value in values:
        if type(value) is tuple and len(value) == 2:  # a pair of name and value
            _check_key(value[0])
        elif type(value) not in (_Thing, _Tensor, float):
            _check_key(value)


def _check_tensor(storage: Any, offset: Any, sides: Any, strides: Any) -> None:
    """Errors: RefusedPickleError for a tensor with more numbers than its storage, or others."""
    numbers = [offset, *sides, *strides]
    if not isinstance(storage, _Storage) or any(type(n) is not int or n < 0 for n in numbers):
        raise RefusedPickleError("a damaged file")
    if len(sides) != len(strides) or len(sides) > _MAX_SIDES:
        raise RefusedPickleError("a damaged file")
    n_items, last = 1, offset
    for side, stride in zip(sides, strides, strict=True):
        n_items *= side
        last += (side - 1) * stride
    if n_items and (last >= storage.n_items or n_items > storage.n_items):
        raise RefusedPickleError("a tensor that is larger than its numbers")
