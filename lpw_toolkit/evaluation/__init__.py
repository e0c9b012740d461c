"""Embeddings and a protocol become metrics (`lpw eval`).

Embed, split, distance, rank, summarise, tabulate; a protocol or a learned metric is a plug-in.
"""

from typing import TYPE_CHECKING

from lpw_toolkit.lazy import lazy_names

if TYPE_CHECKING:
    from lpw_toolkit.evaluation.bootstrap import measure_lead, measure_mean
    from lpw_toolkit.evaluation.distance_choice import DistanceSettings, MetricTrainingData
    from lpw_toolkit.evaluation.evaluate import Evaluation
    from lpw_toolkit.evaluation.protocol import (
        EvaluationProtocol,
        ProtocolSpec,
        list_protocols,
        open_protocol,
    )
    from lpw_toolkit.evaluation.protocol_choice import choose_protocol
    from lpw_toolkit.evaluation.ranking import Ranking, rank_queries
    from lpw_toolkit.evaluation.results import format_results, write_results
    from lpw_toolkit.evaluation.summary import Summary, summarise

__all__ = [
    "DistanceSettings",
    "Evaluation",
    "EvaluationProtocol",
    "MetricTrainingData",
    "ProtocolSpec",
    "Ranking",
    "Summary",
    "choose_protocol",
    "format_results",
    "list_protocols",
    "measure_lead",
    "measure_mean",
    "open_protocol",
    "rank_queries",
    "summarise",
    "write_results",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "bootstrap": "measure_lead measure_mean",
        "distance_choice": "DistanceSettings MetricTrainingData",
        "evaluate": "Evaluation",
        "protocol": "EvaluationProtocol ProtocolSpec list_protocols open_protocol",
        "protocol_choice": "choose_protocol",
        "ranking": "Ranking rank_queries",
        "results": "format_results write_results",
        "summary": "Summary summarise",
    },
)
