"""How sure the figures of one evaluation are: an interval over the persons who are tested."""

import numpy as np

from lpw_toolkit.evaluation.bootstrap import measure_mean
from lpw_toolkit.evaluation.evaluate import Evaluation

#: The ends of an interval move by less than a tenth of its width with another seed.
N_RESAMPLES = 2000


def describe_interval(evaluation: Evaluation) -> list[str]:
    """A sentence on rank-1 and mAP; none where fewer than two persons are tested.

    The queries of all splits count together, by person.
    """
    queries = evaluation.queries
    counted = ~queries["skipped"].to_numpy()
    person = np.unique(queries["person_id"].to_numpy()[counted], return_inverse=True)[1]
    if not len(person) or person.max() < 1:
        return []
    rank = queries["first_rank"].to_numpy()[counted]
    precision = queries["average_precision"].to_numpy()[counted]
    shown = []
    for name, values in (("rank-1", rank == 1), ("mAP", np.nan_to_num(precision))):
        rng = np.random.default_rng(0)
        found = measure_mean(person, values, rng, n_resamples=N_RESAMPLES)
        shown.append(f"{name} {100 * found.low:.1f} to {100 * found.high:.1f}")
    of = f"95 % intervals over {found.n_persons:,} persons: {', '.join(shown)}"
    return [f"{of}; of one model: the noise of training is not in them"]
