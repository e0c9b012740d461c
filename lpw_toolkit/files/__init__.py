"""The one door in and the one door out: every file is opened, written and listed here.

No link is followed inside a folder, every read is bounded, every write is atomic.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.files.limits import limit, set_limit
    from lpw_toolkit.files.listing import iter_files, list_folder
    from lpw_toolkit.files.opening import (
        Folder,
        follow_links,
        open_file,
        read_bytes,
        read_json,
        read_text,
    )
    from lpw_toolkit.files.writing import atomic_write, atomic_write_text, write_file

__all__ = [
    "Folder",
    "atomic_write",
    "atomic_write_text",
    "follow_links",
    "iter_files",
    "limit",
    "list_folder",
    "open_file",
    "read_bytes",
    "read_json",
    "read_text",
    "set_limit",
    "write_file",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "limits": "limit set_limit",
        "listing": "iter_files list_folder",
        "opening": "Folder follow_links open_file read_bytes read_json read_text",
        "writing": "atomic_write atomic_write_text write_file",
    },
)
