"""`pareto`: measure fits, and place them beside the benchmark's published entries."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from nlbprob.arguments import checked_keywords, flag, instance_of, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.errors import InputError
from nlbprob.infer.runtime.progress import Progress
from nlbprob.parsimony.classes import AVERAGE, block_classes, model_class
from nlbprob.parsimony.cycle import cycle_consistency
from nlbprob.parsimony.description import description_bits
from nlbprob.parsimony.dimension import effective_dimension
from nlbprob.parsimony.few_shot import few_shot
from nlbprob.parsimony.front import Front, FrontEntry, front_of, measured
from nlbprob.parsimony.stability import subspace_overlap
from nlbprob.posterior.posterior import Posterior
from nlbprob.scoring.metrics.scored import DoesNotApply
from nlbprob.scoring.rates import in_splits, split_names
from nlbprob.scoring.scores import score
from nlbprob.selection.average import Committee
from nlbprob.selection.replicate import Replication

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

EXAMPLE = "a fit, as nlb.fit, nlb.replicate or nlb.average return it"


class Setting(NamedTuple):
    """How fits are measured; the fields are arguments of `pareto`."""

    fit: tuple[str, ...] = ("train",)
    on: tuple[str, ...] = ("val",)
    shots: int = 10
    seed: int = 0


@checked_keywords
def pareto(
    fits: Any,
    trials: "Trials",
    *,
    fit: str | Sequence[str] = "train",
    on: str | Sequence[str] = "val",
    dataset: str = "",
    shots: int = 10,
    bootstrap: int = 1000,
    seed: int = 0,
    progress: bool = True,
) -> Front:
    """Measure the accuracy and the parsimony of fits to the same trials, beside the benchmark's published entries.

    Accuracy is co-bps. Parsimony has a class, which the latent blocks state, and five measures: effective dimension,
    description length, stability, few-shot co-bps, and cycle consistency; docs/pareto.md has their formulas, limits and
    sources. Published entries have a class alone, that which their papers support.

    Args:
        fits: by name, {"lds": posterior, "templates": other}: what `fit`, `replicate` or `average` returned. A
            `Replication` has its stability measured, too; a `Committee` has no latents of its own to measure.
        trials: of both splits, held-out counts seen.
        fit: the split or splits that the models learned from, which few-shot readouts are learned from.
        on: the split or splits that are scored.
        dataset: of the benchmark, such as "mc_maze": its published entries are on the front, too.
        shots: trials that few-shot readouts are learned from.
        bootstrap: resamples of the trials for the interval of co-bps; 0 for none.
        seed: of all draws.
        progress: show a progress bar.

    Returns:
        The front; `nlb.plot.pareto` draws it.

    Raises:
        InputError: a fit is none, or is not of these trials; there is no such data set or split.

    Examples:
        >>> front = nlb.pareto({"lds": lds, "templates": templates}, trials)  # doctest: +SKIP
        >>> front.efficient("description_bits")  # doctest: +SKIP
    """
    check_trials(trials, "pareto")
    instance_of(fits, Mapping, "pareto", "fits", "fits by name, {'lds': posterior}")
    for name, each in fits.items():
        instance_of(each, Posterior | Committee | Replication, "pareto", f"fits[{name!r}]", EXAMPLE)
    if not fits:
        raise InputError("pareto: fits is empty; give fits by name, {'lds': posterior}.")
    instance_of(dataset, str, "pareto", "dataset", "the name of a data set of the benchmark, 'mc_maze'")
    shots, seed = whole_number(shots, "pareto", "shots", 1), seed_number(seed, "pareto")
    bootstrap, progress = whole_number(bootstrap, "pareto", "bootstrap"), flag(progress, "pareto", "progress")
    setting = Setting(split_names(fit, "fit"), split_names(on, "on"), shots, seed)
    used = trials.select(trials=np.flatnonzero(in_splits(trials, fit, "fit") | in_splits(trials, on, "on")))
    front_of([], dataset)  # an unknown data set is refused before anything is measured
    bar, entries = Progress(len(fits), progress, unit="fit", first="measuring"), []
    try:
        for name, each in fits.items():
            found = each.posterior if isinstance(each, Replication) else each
            rates = found.rates(used.hide_heldout(*setting.on))
            scores = score(rates, used, fit, on, bootstrap, seed, ["co-bps"])
            angles = each.angles_deg.values if isinstance(each, Replication) else None
            facts = (scores.values["co-bps"], scores.intervals["co-bps"], scores.split, scores.bin_ms)
            posterior = found if isinstance(found, Posterior) else None
            entries.append(entry(str(name), facts, np.asarray(rates, float), used, posterior, angles, setting))
            bar.tick(str(name), f"{len(entries[-1].measures)} measures")
    finally:
        bar.close()
    return front_of(entries, dataset)


def entry(
    name: str,
    facts: tuple[float | None, tuple[float, float] | None, str, float],
    rates: Float[np.ndarray, "trial time neuron"],
    trials: "Trials",
    posterior: Posterior | None,
    angles_deg: Float[np.ndarray, "fit latent"] | None,
    setting: Setting,
) -> FrontEntry:
    """What is measured of one fit.

    Args:
        name: of the fit.
        facts: co-bps, its interval, the scored split, and the width of a bin in ms.
        rates: of all trials, spikes/bin, inferred with held-out neurons hidden in the scored ones.
        trials: of both splits, held-out counts seen.
        posterior: of the fit; None of an average of several.
        angles_deg: principal angles of its subspace with those of repeated fits; None where it was not repeated.
        setting: how it is measured.
    """
    readings = {"effective_dimension": lambda: effective_dimension(rates, trials, setting.on)}
    blocks = {} if posterior is None else block_classes(posterior)
    if posterior is None:
        readings |= dict.fromkeys(("description_bits", "few_shot", "cycle_consistency"), of_members)
    else:
        few = functools.partial(few_shot, posterior, trials, setting.fit, setting.on, setting.shots, seed=setting.seed)
        visible = trials.hide_heldout(*setting.on).split(*setting.on)
        readings["description_bits"] = functools.partial(description_bits, posterior)
        readings["few_shot"] = lambda: float(few().mean())
        readings["cycle_consistency"] = functools.partial(cycle_consistency, posterior, visible, seed=setting.seed)
    readings["stability"] = functools.partial(stability, angles_deg, posterior is None)
    values, reasons = measured(readings)
    dynamics = model_class(blocks) if blocks else AVERAGE
    return FrontEntry(name, *facts, dynamics, blocks, values, reasons)


def of_members() -> float:
    """Raises DoesNotApply: an average has no parameters and latents of its own."""
    raise DoesNotApply("an average has none of its own: see its members")


def stability(angles_deg: Float[np.ndarray, "fit latent"] | None, average: bool) -> float:
    """The mean overlap of the subspace with those of repeated fits.

    Raises:
        DoesNotApply: there are none.
    """
    if average:
        of_members()
    if angles_deg is None:
        raise DoesNotApply("not repeated: see nlbprob.replicate, or `nlbprob replicate RUN`")
    return float(subspace_overlap(angles_deg).mean())
