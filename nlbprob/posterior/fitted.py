"""The values and draws of a fitted model, and the parameters derived from them."""

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, cast

import jax
import numpy as np
from jaxtyping import Float

from nlbprob.arguments import seed_number, whole_number
from nlbprob.blocks.base import Context
from nlbprob.blocks.formula import blocks, described
from nlbprob.display import Html, table
from nlbprob.infer.vi.families import words_of
from nlbprob.model import Model, Parameters
from nlbprob.posterior import canonical

if TYPE_CHECKING:
    from nlbprob.posterior.posterior import Posterior


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class FittedModel:
    """A model with the posterior of its parameters; its fields are documented in `Posterior`."""

    model: Model
    context: Context
    values: dict[str, np.ndarray]
    draws: dict[str, np.ndarray]
    neuron_ids: np.ndarray
    history: dict[str, np.ndarray]
    config: dict[str, Any]
    basis: np.ndarray | None = None

    def __getstate__(self) -> dict[str, Any]:
        """All but what was compiled or derived, so that a posterior can be pickled and copied."""
        state = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return state | {"model": getattr(self.model, "function", self.model)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        model = state["model"]
        vars(self).update(state)
        if not isinstance(model, Model):  # of a function: its parts are found again by running it
            from nlbprob.functions.model import function_model

            vars(self)["model"] = function_model(model, self.context)

    def _repr_html_(self) -> str:
        family = self.config.get("posterior_words") or words_of(self.config["posterior"])
        rows = [
            *((role, Html(described(block))) for role, block in blocks(self.model)),
            ("latents in all", self.model.dim),
            ("neurons", len(self.neuron_ids)),
            ("bins", f"{self.context.bin_ms:g} ms"),
            ("parameters", family),
            ("ELBO", self._bound.removeprefix("ELBO ")),
            ("verdict", self.verdict),
        ]
        return table("Posterior", rows)

    @property
    def _posterior(self) -> "Posterior":
        """Itself: `Posterior` is the one class of these fields."""
        return cast("Posterior", self)

    @property
    def _bound(self) -> str:
        """EM's last bound in words, which fits can be compared by: it is exact, where SVI's is a noisy estimate."""
        if not len(self.elbo):
            return "not iterated"
        return f"ELBO {self.config.get('em_elbo', self.elbo[-1]):.1f} nats after {len(self.elbo)} iterations"

    @property
    def verdict(self) -> str:
        """Whether the fit has converged, and what has collapsed, in words, each with its remedy."""
        from nlbprob.posterior.diagnostics import verdict

        return verdict(self)

    @property
    def has_width(self) -> bool:
        """Whether the parameters have uncertainty: whether their draws differ."""
        return any((draws[0] != draws[-1]).any() for draws in self.draws.values())

    @property
    def elbo(self) -> Float[np.ndarray, " step"]:
        """The bound after every iteration, nats, all training trials; noisy estimates from the SVI stage on."""
        return np.asarray(self.history["elbo"], float)

    @property
    def rotation(self) -> Float[np.ndarray, "latent latent"]:
        """The orthogonal matrix R of the canonical basis: canonical latents are R'x, canonical loadings C R.

        R mixes only the latents of a block whose prior is rotation-invariant: dense dynamics, regimes, templates.
        """
        return self.basis if self.basis is not None else canonical.rotation(self.model, self.own_loadings)

    @property
    def own_loadings(self) -> Float[np.ndarray, "neuron latent"]:
        """The loadings C in the model's own basis, at the centre of their posterior."""
        names = self.model.readout.names
        return np.asarray(self.model.readout.loadings(self.values) if names else self.centre.loadings, float)

    @functools.cached_property
    def centre(self) -> Parameters:
        """The parameters at the centre of their posterior; see `canonical.centre`."""
        return canonical.centre(self)

    @functools.cached_property
    def parameter_mean(self) -> dict[str, np.ndarray]:
        """The parameters of `parameters` at the centre of the posterior, without the sample axis."""
        canonical_values = canonical.parameters(
            self, jax.tree.map(lambda a: a[None], self.centre._replace(uncertainty=None))
        )
        return {name: np.asarray(value) for name, value in self.values.items()} | {
            k: v[0] for k, v in canonical_values.items()
        }

    def parameter_draws(self, draws: int = 200, seed: int = 0) -> dict[str, np.ndarray]:
        """What `Posterior.parameters` gives, as arrays of NumPy.

        Args:
            draws: number of draws; with replacement where it exceeds those that are kept.
            seed: of the choice.

        Returns:
            Arrays [sample, ...] by name: "loadings" [neuron, latent], "baseline" [neuron], "transition_matrix" and
            "noise_covariance" [latent, latent_2] (per bin), "initial_mean", "initial_covariance", those of the
            observation, and the sites of the blocks, such as "lds.decay_ms".
        """
        rows = self._rows(draws, seed)
        return {name: value[rows] for name, value in (self.draws | self._canonical_draws).items()}

    @functools.cached_property
    def _derived_draws(self) -> Parameters:
        return canonical.derived_draws(self)

    @functools.cached_property
    def _canonical_draws(self) -> dict[str, np.ndarray]:
        return canonical.parameters(self, self._derived_draws)

    def _rows(self, draws: int, seed: int) -> np.ndarray:
        kept = len(next(iter(self.draws.values())))
        draws, seed = whole_number(draws, "Posterior", "draws", 1), seed_number(seed, "Posterior")
        return np.random.default_rng(seed).choice(kept, draws, replace=draws > kept)
