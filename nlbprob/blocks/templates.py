"""Templates: every trial follows one of a few canonical trajectories; which one is latent."""

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float, Int

from nlbprob.arguments import checked_keywords, instance_of, real_number, whole_number
from nlbprob.blocks import calls, sizes
from nlbprob.blocks.base import Block, Context
from nlbprob.blocks.cosines import cosines
from nlbprob.errors import InputError
from nlbprob.numerics.gaussian import until

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials


class Mixture(NamedTuple):
    """A mixture of trajectories: log p(component), and the trajectory that each adds to the latents."""

    log_weights: Float[Array, " component"]
    trajectories: Float[Array, "component time latent"]

    def embedded(self, n_latents: int, columns: slice) -> "Mixture":
        """The mixture among the latents of a model: zero in those of other blocks.

        Args:
            n_latents: the number of latents of the model.
            columns: the latents that the templates add to.

        Returns:
            A mixture with trajectories [component, time, n_latents].
        """
        components, bins, _ = self.trajectories.shape
        padded = jnp.zeros((components, bins, n_latents), self.trajectories.dtype)
        return self._replace(trajectories=padded.at[:, :, columns].set(self.trajectories))


@checked_keywords
@dataclasses.dataclass(frozen=True, eq=False)
class Templates(Block):
    """x_t = mu_k(t) for a trial of component k ~ Categorical(weights): a mixture of canonical trajectories.

    mu_k(t) = sum_j a_kj phi_j(t), phi_j the cosines of the trial's window, a_kj ~ N(0, s_j^2), where s_j^2 is the
    spectral density of a Matern 5/2 process of unit variance and `smoothness_ms` (Solin and Sarkka 2020, "Hilbert space
    methods for reduced-rank Gaussian process regression"). After the window a trajectory stays where it ended. Stack it
    with an LDS or another latent, which then describes how single trials deviate from their template.

    Called in a NumPyro function it samples all that, the component of each trial as the site "templates.component"
    [trial], and returns x [trial, time, latent]; under `nlbprob.fit` the components are summed out.

    Args:
        components: how many; None takes the number of the training trials' conditions, or 8 where they have none. The
            conditions only set where the fit starts: a trial's component is always inferred from its spikes.
        dim: number of latents that only the templates have; None takes 0.8 sqrt(neurons), at most 10.
        on: the name of a latent block to whose latents the trajectories add instead (then `dim` is that block's); for
            blocks of a `Model`.
        smoothness_ms: lengthscale of the Matern 5/2 process in ms.
        highest_hz: highest frequency of the cosines in Hz.
        temperature: p(k | spikes) of a trial is proportional to weights_k exp(bound_k / temperature) where trials are
            predicted and components told; fits do not depend on it. A trial's many bins and neurons count as
            independent given its component, so that where they are not 1 makes labels too certain.
        name: prefix of its sites.
        priors: another Dirichlet for "weights" and another Normal for "coefficients".

    Sites:
        - weights [component] ~ Dirichlet(1)
        - coefficients [component, basis, latent] ~ N(0, 1), in units of s_j
    """

    components: int | None = None
    dim: int | None = None
    on: str | None = None
    smoothness_ms: float = 120.0
    highest_hz: float = 8.0
    temperature: float = 1.0
    name: str = "templates"
    priors: dict[str, dist.Distribution] = dataclasses.field(default_factory=dict)

    rotatable = True
    own_coordinates = False

    def __post_init__(self):
        self.check_priors(("weights", "coefficients"))
        for parameter, kind in (("weights", dist.Dirichlet), ("coefficients", dist.Normal)):
            if parameter in self.priors and not isinstance(self.priors[parameter], kind):
                raise InputError(f"Templates(priors={{{parameter!r}: ...}}): give a numpyro {kind.__name__}.")
        for field in ("components", "dim"):
            if (value := getattr(self, field)) is not None:
                self.set_fields(**{field: whole_number(value, "Templates", field, 1)})
        for field in ("smoothness_ms", "highest_hz", "temperature"):
            self.set_fields(**{field: real_number(getattr(self, field), "Templates", field, above=0)})
        instance_of(self.on, str | None, "Templates", "on", "the name of a latent block, such as on='lds'")
        if self.on is not None and self.dim is not None:
            raise InputError("Templates(dim=..., on=...): on a block's latents it has no latents of its own.")

    def resolve(self, trials: "Trials") -> "Templates":
        """The same block with the numbers of components and latents set, by default from these trials.

        Args:
            trials: the training data.

        Returns:
            The block with `components`, and with `dim` unless `on` is given.
        """
        components = self.components
        if components is None:
            components = len(trials.condition_labels) if trials.condition else 8
        dim = self.dim or sizes.of_trajectories(trials)
        return dataclasses.replace(self, components=components, dim=None if self.on else dim)

    def check(self, trials: "Trials") -> None:
        """Check that the block can be fitted to these trials.

        Args:
            trials: the training data.

        Raises:
            InputError: there are more components than trials.
        """
        if self.n_components > trials.n_trials:
            raise InputError(
                f"Templates({self.n_components}): more templates than the {trials.n_trials} trials. Lower components."
            )

    @property
    def n_components(self) -> int:
        """The number of templates, once it is known."""
        if self.components is None:
            raise InputError(
                "The number of templates depends on the recording. To know it before, use Templates(components)."
            )
        return self.components

    @property
    def n_latents(self) -> int:
        """The number of latents that only the templates have."""
        return 0 if self.on else (self.dim or 0)

    @property
    def latent_modes(self) -> Int[np.ndarray, " latent"]:
        """The mode of each latent: all belong to one, and may be rotated among themselves."""
        return np.zeros(self.n_latents, int)

    @property
    def latent_names(self) -> list[str]:
        """The labels of its latents, which are numbered from 1, as in figures and reports."""
        return [f"{self.name} {number}" for number in range(1, self.n_latents + 1)]

    def basis(self, context: Context) -> Float[np.ndarray, "time basis"]:
        """s_j phi_j(t): cosines up to `highest_hz`, each scaled to its prior standard deviation.

        Args:
            context: facts of the training data.

        Returns:
            [time, basis].
        """
        return cosines(context, self.smoothness_ms, self.highest_hz)

    def prior(self, context: Context, width: int | None = None) -> Mixture:
        """Sample weights and coefficients.

        Args:
            context: facts of the training data.
            width: the number of latents that the trajectories have; None: `n_latents`.

        Returns:
            The mixture of trajectories [component, time, latent].
        """
        components = self.n_components
        basis = jnp.asarray(self.basis(context), jnp.result_type(float))
        weights = self.sample("weights", dist.Dirichlet(jnp.ones(components)), ("component",))
        shape = [components, basis.shape[1], self.n_latents if width is None else width]
        prior = dist.Normal(0.0, 1.0).expand(shape)
        coefficients = self.sample("coefficients", prior, ("component", "basis", f"{self.name}_latent"))
        return Mixture(jnp.log(weights), jnp.einsum("tj,kjl->ktl", basis, coefficients))

    def trajectories(self, mixture: Mixture, trials: "Trials"):
        """Sample the component of each trial.

        Args:
            mixture: at given parameters.
            trials: whose components are sampled.

        Returns:
            The trajectory of each trial's template [trial, time, latent].
        """
        with numpyro.plate("trial", trials.n_trials, dim=-1):
            which: Any = dist.Categorical(logits=mixture.log_weights)
            chosen = numpyro.sample(f"{self.name}.component", which)
        return until(mixture.trajectories, trials.n_bins, axis=1)[chosen]

    def __call__(self, trials: "Trials"):
        """Sample the templates and the component of each trial, for a NumPyro function.

        Args:
            trials: whose trajectories are sampled.

        Returns:
            x [trial, time, latent].

        Raises:
            InputError: `on` is given.
        """
        if self.on is not None:
            raise InputError(
                f"Templates(on={self.on!r}): in a function templates have latents of their own. Leave `on` away, and "
                "give them loadings, or add them to the latents of a block yourself: (t + x) @ loadings.T."
            )
        return calls.latents(self, trials)

    def start(self, context: Context, width: int) -> dict[str, Any]:
        """Site values of templates that are all zero, where a fit starts.

        Args:
            context: facts of the training data.
            width: the number of latents that the trajectories have.

        Returns:
            Arrays by the names of the sites.
        """
        count = self.basis(context).shape[1]
        return {
            self.site("weights"): np.full(self.n_components, 1 / self.n_components),
            self.site("coefficients"): np.zeros((self.n_components, count, width)),
        }
