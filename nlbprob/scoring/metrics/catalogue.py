"""All metrics of the project; a new one is a file beside this one and a line here."""

from collections.abc import Iterable
from typing import Any

from nlbprob.arguments import described
from nlbprob.errors import InputError, suggestion
from nlbprob.scoring.metrics.base import Metric
from nlbprob.scoring.metrics.co_bps import CO_BPS
from nlbprob.scoring.metrics.fp_bps import FP_BPS
from nlbprob.scoring.metrics.psth_r2 import PSTH_R2
from nlbprob.scoring.metrics.tp_corr import TP_CORR
from nlbprob.scoring.metrics.velocity_r2 import VELOCITY_R2

#: By name, in the order in which tables show them.
METRICS = {metric.name: metric for metric in (CO_BPS, VELOCITY_R2, TP_CORR, PSTH_R2, FP_BPS)}
#: What `score` gives of a recording of one's own.
SCORES = (CO_BPS, VELOCITY_R2, PSTH_R2, FP_BPS)
#: What the benchmark gives of dmfc_rsg, whose behavior is an interval and no velocity.
INTERVAL_SCORES = (CO_BPS, TP_CORR, PSTH_R2, FP_BPS)


def chosen(metrics: Iterable[Metric | str], function: str) -> tuple[Metric, ...]:
    """Metrics that a user names or hands over.

    Args:
        metrics: names of `METRICS`, and metrics of one's own.
        function: what messages call the caller.

    Raises:
        InputError: one is neither, none is named, or two have one name.
    """
    listed = [metrics] if isinstance(metrics, str | Metric) else metrics if isinstance(metrics, Iterable) else []
    metrics_chosen = tuple(metric_of(each, function) for each in listed)
    if not metrics_chosen:
        raise InputError(f"{function}: metrics={metrics!r} names none; give a list, such as ['co-bps'].")
    names = [metric.name for metric in metrics_chosen]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{function}: two metrics are named {twice[0]!r}; give each a name of its own.")
    return metrics_chosen


def metric_of(metric: Any, function: str) -> Metric:
    """The metric of a name, or a metric as it is. Raises InputError where it is neither."""
    if isinstance(metric, Metric):
        return metric
    if not isinstance(metric, str):
        raise InputError(f"{function}: metrics holds {described(metric)}; give names, or objects of nlb.Metric(...).")
    if metric not in METRICS:
        raise InputError(f"{function}: there is no metric {metric!r}. {suggestion(metric, METRICS)}")
    return METRICS[metric]
