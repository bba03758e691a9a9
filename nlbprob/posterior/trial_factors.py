"""The numbers of each trial, and the trajectories that they weigh, of blocks with a learned emission."""

from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np

from nlbprob.blocks.learned_emission import LearnedEmission
from nlbprob.errors import InputError
from nlbprob.infer.runtime.batch import Batch
from nlbprob.infer.runtime.precision import precision
from nlbprob.infer.runtime.programs import program
from nlbprob.infer.trajectories.marginals import Marginals, infer
from nlbprob.infer.trajectories.problem import predicted_responsibility
from nlbprob.model import Model, Parameters
from nlbprob.numerics.gaussian import until
from nlbprob.posterior.embed import embedded
from nlbprob.posterior.predict import by_chunk, gathered, overall
from nlbprob.posterior.units import numbered, with_units

if TYPE_CHECKING:
    import xarray

    from nlbprob.data.trials import Trials
    from nlbprob.posterior.posterior import Posterior


@program("model")
def first_states(model: Model, theta: Parameters, batch: Batch) -> Marginals:
    """Moments of the state, in the place of latents, in the first bin alone."""
    _, _, local = infer(model, theta, batch)
    responsibility = predicted_responsibility(model, theta, local.elbo)
    return Marginals(local.smoothed.mean[:, :1], local.smoothed.covariance[:, :1], responsibility)


def factors(posterior: "Posterior", trials: "Trials") -> "xarray.Dataset":
    """Factors of some trials, see `Posterior.factors`."""
    import xarray

    model, known = posterior.model, embedded(posterior, trials).trials
    learned = [block for block in model.chains if isinstance(block, LearnedEmission)]
    if not learned:
        raise InputError("factors: no block of the model is TrialFactors.")
    with precision(posterior.config["precision"]):
        parts = list(by_chunk(posterior, known, causal=False, find_moments=first_states))
        mean, covariance = gathered([overall(found) for *_, found in parts], [rows for rows, *_ in parts])
    ends = np.cumsum([block.n_states for block in model.chains])
    coords: dict[str, Any] = {
        "trial": trials.table["id"],
        "time": trials.time_ms,
        "latent": posterior.model.latent_names,
    }
    variables: dict[str, Any] = {}
    for block, dynamics, end in zip(model.chains, posterior.centre.dynamics, ends, strict=True):
        if block not in learned:
            continue
        name, state = f"{block.name}_factor", slice(int(end) - block.n_states, int(end))
        assert dynamics.emission is not None
        emission = np.asarray(until(jnp.asarray(dynamics.emission), trials.n_bins, axis=0))
        turned = np.einsum("tlj,lm->jtm", emission, posterior.rotation[model.slices[block.name]])
        coords |= dict.fromkeys((name, f"{name}_2"), numbered(block.n_states))
        variables |= {
            block.name: (("trial", name), mean[:, 0, state]),
            f"{block.name}_covariance": (("trial", name, f"{name}_2"), covariance[:, 0, state, state]),
            f"{block.name}_trajectories": ((name, "time", "latent"), turned),
        }
    return with_units(xarray.Dataset(variables, coords))
