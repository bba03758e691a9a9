"""How much of each latent's variance over trials the variables of a task explain."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from nlbprob.arguments import named, seed_number, whole_number
from nlbprob.errors import InputError, suggestion
from nlbprob.posterior.embed import embedded

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior

#: Numbers of so many different values at most are categories.
MOST_CATEGORIES = 10


def tuning(posterior: "Posterior", trials: "Trials", columns: Any, permutations: int, seed: int) -> "xarray.Dataset":
    """Variance of latents that task variables explain, see `Posterior.tuning`."""
    import xarray

    trials = embedded(posterior, trials).trials
    permutations, seed = whole_number(permutations, "tuning", "permutations"), seed_number(seed, "tuning")
    names = chosen(trials, columns)
    designs = [design(name, trials.table[name]) for name in names]
    found = posterior.latents(trials)["mean"]
    latents = found.values.astype(float)
    inside = np.arange(trials.n_bins) < trials.lengths[:, None]
    random = np.random.default_rng(seed)
    orders = [random.permutation(trials.n_trials) for _ in range(permutations)]
    fractions, by_time, chance, p = [], [], [], []
    for columns_of_design in designs:
        every, each = explained(latents, inside, columns_of_design)
        permuted = np.array([explained(latents, inside, columns_of_design[order])[0] for order in orders])
        fractions.append(every)
        by_time.append(each)
        chance.append(permuted.mean(0) if permutations else np.full(every.shape, np.nan))
        p.append(
            (1 + (permuted >= every).sum(0)) / (1 + permutations) if permutations else np.full(every.shape, np.nan)
        )
    dims, unit = ("variable", "latent"), {"units": "1"}
    return xarray.Dataset(
        {
            "fraction": (dims, np.array(fractions), unit),
            "chance": (dims, np.array(chance), unit),
            "p": (dims, np.array(p), unit),
            "fraction_by_time": ((*dims, "time"), np.array(by_time), unit),
        },
        {"variable": names, "latent": found["latent"].values, "time": ("time", trials.time_ms, {"units": "ms"})},
        {"permutations": permutations},
    )


def chosen(trials: "Trials", columns: Any) -> list[str]:
    """The names of the columns. Raises InputError where there is none of a name, or no condition to take."""
    single = isinstance(columns, str)
    if columns is not None and not single and not isinstance(columns, Sequence):
        raise InputError(f"{named('tuning', 'columns', columns)}: give the name of a trials column, or a list of them.")
    names = list(trials.condition if columns is None else [columns] if single else columns)
    known = [name for name in trials.table if name not in ("id", "split")]
    if not names:
        raise InputError(f"tuning: the trials have no condition; name columns=[...], of {', '.join(known) or 'none'}.")
    for name in names:
        if name not in trials.table:
            raise InputError(f"tuning(columns=...): no trials column {name!r}. {suggestion(str(name), known)}")
    return names


def design(name: str, values: Shaped[np.ndarray, " trial"]) -> Float[np.ndarray, "trial column"]:
    """One column for each category but the first, or the number itself; NaN where the value is missing."""
    missing = np.isnan(values) if values.dtype.kind == "f" else values == "" if values.dtype.kind == "U" else None
    missing = np.zeros(len(values), bool) if missing is None else missing
    kinds = np.unique(values[~missing])
    if len(kinds) < 2:
        raise InputError(f"tuning: column {name!r} has the same value in all trials; name one that varies.")
    if values.dtype.kind in "iuf" and len(kinds) > MOST_CATEGORIES:
        columns = values.astype(float)[:, None]
    else:
        columns = (values[:, None] == kinds[1:]).astype(float)
        if len(kinds) > (~missing).sum() / 2:
            raise InputError(
                f"tuning: column {name!r} has {len(kinds)} different values in {(~missing).sum()} trials; each needs "
                "two trials, or numbers."
            )
    columns[missing] = np.nan
    return columns


def explained(
    latents: Float[np.ndarray, "trial time latent"],
    inside: Bool[np.ndarray, "trial time"],
    columns: Float[np.ndarray, "trial column"],
) -> tuple[Float[np.ndarray, " latent"], Float[np.ndarray, "latent time"]]:
    """The fraction of variance over trials that a least-squares regression on the columns explains: of all bins, and
    of each (NaN where hardly any trial reaches it).
    """
    known = inside & ~np.isnan(columns).any(1)[:, None]
    squares, total = np.zeros((2, latents.shape[2], latents.shape[1]))
    patterns, pattern = np.unique(known, axis=1, return_inverse=True)
    for number, rows in enumerate(patterns.T):  # bins that the same trials reach have one regression
        if rows.sum() < columns.shape[1] + 3:
            continue
        times = np.flatnonzero(np.ravel(pattern) == number)
        values = latents[np.ix_(rows, times)]
        values = values - values.mean(0)
        basis, size, _ = np.linalg.svd(columns[rows] - columns[rows].mean(0), full_matrices=False)
        basis = basis[:, size > 1e-9 * max(size[0], 1e-30)]
        projected = np.einsum("kc,ktl->ctl", basis, values)
        squares[:, times], total[:, times] = (projected**2).sum(0).T, (values**2).sum(0).T
    whole = total.sum(1)
    fraction = np.divide(squares.sum(1), whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return fraction, np.divide(squares, total, out=np.full(total.shape, np.nan), where=total > 0)
