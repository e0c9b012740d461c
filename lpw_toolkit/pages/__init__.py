"""Local pages to look at: a dataset, its persons over cameras, ranked lists.

They are static, load nothing from elsewhere, and show ids as text only.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.pages.dataset_page import Show, write_show
    from lpw_toolkit.pages.persons_page import write_persons

__all__ = ["Show", "write_persons", "write_show"]

__getattr__, __dir__ = lazy_names(
    __name__, {"dataset_page": "Show write_show", "persons_page": "write_persons"}
)
