"""The forms of a recipe: other values for methods without a distance loss, and for large datasets.

A TOML file may have them beside its own sections; each names only what differs:

    [softmax_alone.SECTION]         for methods without a distance loss
    [large.SECTION]                 for large datasets
    [large.softmax_alone.SECTION]   for both

The rule: a dataset is large from `LARGE_PERSONS` training persons on.
"""

import copy
from typing import Any

from lpw_toolkit.errors import LpwError

#: Between the 300 persons of iLIDS-VID, the most that the released code trains for 15,000 steps,
#: and the 625 of MARS, which is taken to be trained as LPW is (1,975 persons, 150,000 steps).
#: Source: liuyuisanai/Quality-Aware-Network:train_PQAN/.
LARGE_PERSONS = 500
STANDARD, LARGE = "standard", "large"
_ALONE = "softmax_alone"

Values = dict[str, Any]


def choose_form(
    values: Values, *, softmax_alone: bool = False, n_persons: int = 0, length: str | None = None
) -> Values:
    """The values of the form that a training takes, without the forms themselves.

    Args:
        values: of the TOML.
        softmax_alone: whether the method has no distance loss.
        n_persons: persons who train; 0 where they are not known.
        length: `standard` or `large` where the user asks for one; None leaves it to the rule.

    Errors: LpwError for a form that is no table, or where the large one is asked for and there is
    none.

    >>> forms = {"train": {"iterations": 9}, "large": {"train": {"iterations": 90}}}
    >>> choose_form(forms, n_persons=500)
    {'train': {'iterations': 90, 'length': 'large'}}
    >>> choose_form(forms, n_persons=499)
    {'train': {'iterations': 9}}
    """
    base = copy.deepcopy(values)
    large, alone = _take(base, LARGE), _take(base, _ALONE)
    large_alone = _take(large, _ALONE)
    if length == LARGE and not large and not large_alone:
        expected = f"{STANDARD}, for this recipe has no other"
        raise LpwError("train.length", LARGE, expected, "leave it out")
    layers = [alone] if softmax_alone else []
    is_large = n_persons >= LARGE_PERSONS if length is None else length == LARGE
    if is_large and (large or large_alone):
        layers += [large, large_alone] if softmax_alone else [large]
        layers.append({"train": {"length": LARGE}})
    for layer in layers:
        for section, given in layer.items():
            below = base.setdefault(section, {})
            if isinstance(below, dict):
                below.update(given)
    return base


def list_forms(values: Values) -> list[Values]:
    """All forms of the values. Errors: LpwError as `choose_form`."""
    lengths = (STANDARD, LARGE) if LARGE in values else (STANDARD,)
    return [
        choose_form(values, softmax_alone=alone, length=length)
        for alone in (False, True)
        for length in lengths
    ]


def _take(values: Values, key: str) -> Values:
    form = values.pop(key, {})
    nested = form.values() if isinstance(form, dict) else [form]
    if not all(isinstance(section, dict) for section in nested):
        raise LpwError(f"recipe, {key}", "a value", f"tables, such as [{key}.train]", "correct it")
    return dict(form)
