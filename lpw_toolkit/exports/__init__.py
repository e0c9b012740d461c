"""A dataset in the forms of other tools (`lpw export`).

A form is a plug-in in `forms/`; what it cannot hold is listed, not silently lost.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.exports.form import (
        Exported,
        ExportOptions,
        export_dataset,
        list_forms,
        open_form,
    )

__all__ = ["ExportOptions", "Exported", "export_dataset", "list_forms", "open_form"]

__getattr__, __dir__ = lazy_names(
    __name__, {"form": "ExportOptions Exported export_dataset list_forms open_form"}
)
