"""The options that draw splits by seed: `lpw split`, `lpw clean --apply`."""

from collections.abc import Callable

from lpw_cli.command import Function, option
from lpw_toolkit.splits.splits import DEFAULT_SEED, N_SPLITS


def split_options(
    *, share_needs: tuple[str, ...], draw_needs: tuple[str, ...]
) -> Callable[[Function], Function]:
    """`--test`, `--splits` and `--seed`, as `test_frac`, `n_splits` and `seed`.

    Args:
        share_needs: conditions of `--test` (`command.Option`).
        draw_needs: those of the others.
    """

    def decorate(function: Function) -> Function:
        for decorate_one in (
            option("--seed", type=int, default=DEFAULT_SEED, show_default=True, needs=draw_needs,
                   help="Seed of the splits."),
            option("--splits", "n_splits", type=int, default=N_SPLITS, show_default=True,
                   needs=draw_needs, help="How many splits are drawn."),
            option("--test", "test_frac", type=float, default=0.5, show_default=True,
                   needs=share_needs, help="Share of the persons who are tested."),
        ):  # fmt: skip
            function = decorate_one(function)
        return function

    return decorate
