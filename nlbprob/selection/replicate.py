"""`replicate`: what of a fit comes again from other starts, in halves of the trials and in other bins."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from nlbprob.arguments import checked_keywords, flag, instance_of, real_number, seed_number, whole_number
from nlbprob.data.handed import check_trials
from nlbprob.data.rebin import merge_bins
from nlbprob.errors import InputError
from nlbprob.functions.model import resolve_model
from nlbprob.infer.fit.fit import checked_options, fit_fold
from nlbprob.infer.runtime.progress import Progress
from nlbprob.model import Model
from nlbprob.posterior.align import align
from nlbprob.posterior.posterior import Posterior
from nlbprob.posterior.units import digits
from nlbprob.selection.recurrence import recurrence, subspace_angles, timescales

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials

#: Of the parameters of each fit, from which intervals are taken.
DRAWS = 400


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Replication:
    """The result of `replicate`.

    Attributes:
        posterior: the fit whose parts are looked for; its `dynamics()` says in how many other fits each mode recurs,
            also after it was saved and loaded.
        fits: the other fits by name: "seed 1", "half 1a", "20 ms".
        modes: by mode and fit, see `nlbprob.selection.recurrence.recurrence`; None where the model has no modes.
        timescales: by timescale and fit, see `nlbprob.selection.recurrence.timescales`.
        agreement: by fit of the same bins, "loadings_r2" and for each block of templates or regimes the fraction of
            trials, or of bins, that get the same label; see `nlbprob.Aligned`.
        angles_deg: [fit, latent], principal angles between the spans of the loadings, smallest first.
    """

    posterior: Posterior
    fits: dict[str, Posterior]
    modes: "xarray.Dataset | None"
    timescales: "xarray.Dataset"
    agreement: "xarray.Dataset"
    angles_deg: "xarray.DataArray"

    def __repr__(self) -> str:
        lines = [f"Replication: {len(self.fits)} other fits ({', '.join(self.fits)})"]
        count = len(self.fits)
        if self.modes is not None:
            for mode in self.modes["mode"].values.tolist():
                row = self.modes.sel(mode=mode)
                units = {"frequency_hz": "Hz", "decay_ms": "ms"} if row["frequency_hz"] > 0 else {"decay_ms": "ms"}
                parts = [spread(row, f"{name}_", row[name].item(), f" {unit}") for name, unit in units.items()]
                lines.append(f"  mode {mode}: {', '.join(parts)}; {again(row, count)}")
        for place, label in enumerate(self.timescales["timescale"].values):
            row = self.timescales.isel(timescale=place)
            lines.append(f"  {label}: {spread(row, '', row['value'].item(), '')}; {again(row, row.sizes['fit'])}")
        for name, values in self.agreement.data_vars.items():
            lines.append(f"  {name}: {', '.join(f'{value:.2f}' for value in values.values)}")
        widest = self.angles_deg.isel(latent=-1).values
        lines.append(f"  largest angle between subspaces (degrees): {', '.join(f'{angle:.0f}' for angle in widest)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """The tables as JSON takes them."""
        tables = {"modes": self.modes, "timescales": self.timescales, "agreement": self.agreement}
        listed = {
            name: {key: value.values.tolist() for key, value in table.variables.items()}
            for name, table in tables.items()
            if table is not None
        }
        return {"fits": list(self.fits), **listed, "angles_deg": self.angles_deg.values.tolist()}


def spread(row: "xarray.Dataset", prefix: str, value: float, unit: str) -> str:
    """A value with its standard deviations within the fit and between fits."""
    within, between = (row[f"{prefix}{name}_sd"].item() for name in ("within", "between"))
    return f"{digits(value)}{unit} +- {digits(within)} (between fits {digits(between)})"


def again(row: "xarray.Dataset", count: int) -> str:
    """In how many fits a part recurs, in words."""
    return f"in {row['recurs_in'].item()} of {count}" + (", replicated" if row["replicated"].item() else "")


@checked_keywords
def replicate(
    model: Model | Callable,
    trials: "Trials",
    *,
    seeds: int = 4,
    halves: int = 2,
    bin_ms: Any = (),
    posterior: Any = None,
    seed: int = 0,
    fit_options: dict[str, Any] | None = None,
    progress: bool = True,
) -> Replication:
    """See what of a fit comes again: from other starts, in halves of the trials, in wider bins.

    The model is fitted from `seeds` starts to all trials, and to random halves of the trials from the first of these
    fits, which makes them short. A mode recurs in another fit where it moves the same neurons alike and the 90%
    intervals of its frequency and decay time overlap; it is replicated where it recurs in every fit. An interval says
    what the trials leave open at one optimum; the spread between fits also shows what another optimum would say.

    Args:
        model: or a NumPyro function of trials.
        trials: to learn from.
        seeds: starts, the first fit's included; 1 for no other.
        halves: how many halves, an even number: two of each random halving; 0 for none.
        bin_ms: wider bins, one width or several in ms, to which the model is fitted, too: multiples of the trials' own.
        posterior: a fit of the model to these trials that is the first one; by default it is made here.
        seed: of the first fit; the other starts take the next ones. Also of the halves and of the draws.
        fit_options: keywords of `fit` for all fits.
        progress: show a progress bar.

    Returns:
        The comparison, whose `posterior` is to be saved.

    Raises:
        InputError: there is nothing to compare with, or too few trials to halve.

    Examples:
        >>> found = nlb.replicate(model, trials.split("train"))  # doctest: +SKIP
        >>> found.modes["replicated"]  # doctest: +SKIP
    """
    check_trials(trials, "replicate")
    progress, seed = flag(progress, "replicate", "progress"), seed_number(seed, "replicate")
    seeds, halves = whole_number(seeds, "replicate", "seeds", 1), whole_number(halves, "replicate", "halves", 0)
    example = "a Posterior, as fit or nlb.Posterior.load(folder) return it"
    instance_of(posterior, Posterior | None, "replicate", "posterior", example)
    widths = [bin_ms] if isinstance(bin_ms, int | float) else list(bin_ms)
    widths = [real_number(width, "replicate", "bin_ms") for width in widths]
    if halves % 2 or halves > trials.n_trials:
        raise InputError(f"replicate(halves={halves}): give an even number, of {trials.n_trials} trials at most.")
    count = seeds - 1 + halves + len(widths)
    if not count:
        raise InputError("replicate: nothing to compare with; give seeds, halves or bin_ms.")
    options = checked_options(fit_options, "replicate")
    wider = {f"{width:g} ms": merge_bins(trials, width) for width in widths}
    model = resolve_model(model, trials)
    bar = Progress(count + (posterior is None), progress, unit="fit", first="fitting")
    fits: dict[str, Posterior] = {}
    try:
        if posterior is None:
            posterior = whole_fit(model, trials, seed, options)
            bar.tick("first fit", "")
        for name, other in others(model, trials, posterior, (seeds, halves, seed), wider, options):
            fits[name] = other
            bar.tick(name, "")
    finally:
        bar.close()
    return compared(posterior, fits, trials, {name for name in fits if name not in wider}, seed)


def compared(
    posterior: Posterior, fits: dict[str, Posterior], trials: "Trials", same_bins: set[str], seed: int
) -> Replication:
    """What of a fit comes again in others; `same_bins`: the names of those to trials in its own bins."""
    import xarray

    modes = recurrence(posterior, fits, DRAWS, seed)
    names = [name for name in fits if name in same_bins]
    aligned = align([posterior, *(fits[name] for name in names)], trials)
    labeled = dict(zip(names, aligned.posteriors[1:], strict=True))
    angles = np.array([subspace_angles(posterior, other) for other in fits.values()])
    times = timescales(posterior, labeled, DRAWS, seed)
    counts = dict(zip(times["timescale"].values.tolist(), times["recurs_in"].values.tolist(), strict=True))
    found: dict[str, Any] = {
        "fits": len(fits),
        "recurs_in": [] if modes is None else modes["recurs_in"].values.tolist(),
    }
    found |= {"timescales": counts, "fits_of_timescales": len(names)} if counts else {}
    return Replication(
        dataclasses.replace(posterior, config=posterior.config | {"replication": found}),
        fits,
        modes,
        times,
        aligned.match.isel(posterior=slice(1, None)).rename(posterior="fit").assign_coords(fit=names),
        xarray.DataArray(angles, {"fit": list(fits)}, ("fit", "latent"), attrs={"units": "degree"}),
    )


def whole_fit(model: Model | Callable, trials: "Trials", seed: int, options: dict[str, Any]) -> Posterior:
    """A fit to all trials."""
    return fit_fold(model, trials, np.arange(trials.n_trials), trials.n_trials, options | {"seed": seed})


def others(
    model: Any,
    trials: "Trials",
    first: Any,
    numbers: tuple[int, int, int],
    wider: "dict[str, Trials]",
    options: dict[str, Any],
) -> Iterator[tuple[str, Posterior]]:
    """The other fits with their names, one after the other.

    Args:
        model: to fit.
        trials: to learn from.
        first: the fit that halves start from.
        numbers: of seeds, of halves, and the seed.
        wider: the trials in wider bins, by name.
        options: keywords of `fit`.
    """
    seeds, halves, seed = numbers
    for number in range(1, seeds):
        yield f"seed {seed + number}", whole_fit(model, trials, seed + number, options)
    random, room = np.random.default_rng(seed), -(-trials.n_trials // 2)
    for pair in range(halves // 2):
        order = random.permutation(trials.n_trials)
        for letter, rows in zip("ab", (np.sort(order[:room]), np.sort(order[room:])), strict=True):
            part = fit_fold(model, trials, rows, room, options | {"seed": seed, "init": first})
            yield f"half {pair + 1}{letter}", part
    for name, merged in wider.items():
        yield name, whole_fit(model, merged, seed, options)
