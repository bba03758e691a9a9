"""A generative model as a graph: the variables of its NumPyro program, their plates, and what they depend on."""

import dataclasses
import re
from typing import TYPE_CHECKING, Any

import jax
import numpyro.distributions as dist
from numpyro.handlers import seed, trace
from numpyro.infer.inspect import get_model_relations

from nlbprob.functions.model import resolve_model

if TYPE_CHECKING:
    from nlbprob.data.trials import Trials

#: The plates of every model, outermost first.
PLATES = ("trial", "time", "neuron")
#: The deterministic site that stands between the parameters and the counts.
RATES = "rates"
#: What NumPyro puts behind the name of a plate that overlaps another one.
CLONE = "__CLONE"
#: Ends of names of distributions that say by which argument they are given.
GIVEN_BY = re.compile("(LogMean|Logits|Probs|Distribution)$")


@dataclasses.dataclass(frozen=True)
class Variable:
    """A variable of a generative model.

    Attributes:
        name: of its site.
        distribution: the name of its distribution; empty for the rates, which are computed.
        plates: those it is in, of "trial", "time" and "neuron".
        axes: the names of its other axes.
        parents: the variables that it depends on, directly or through others that are computed.
        observed: whether it is the data.
        block: the class of the block whose trajectories it is, else empty.
    """

    name: str
    distribution: str
    plates: tuple[str, ...]
    axes: tuple[str, ...]
    parents: tuple[str, ...]
    observed: bool = False
    block: str = ""


def variables(model: Any, trials: "Trials") -> dict[str, Variable]:
    """The variables of a model by name, parents before children; the rates stand between counts and what sets them.

    Nothing is computed: the program is traced with abstract values.

    Args:
        model: a Model, or a NumPyro function of trials.
        trials: that the model is for.

    Raises:
        InputError: the model does not fit them.
    """
    resolved = resolve_model(model, trials)
    sites: dict[str, dict[str, Any]] = {}

    def run() -> int:
        with trace() as traced, seed(rng_seed=0):
            resolved(trials)
        sites.update(traced)
        return 0

    jax.eval_shape(run)
    parents = get_model_relations(resolved, (trials,))["sample_sample"]
    blocks = {block.name: type(block).__name__ for block in resolved.chains}
    chosen = [name for name, site in sites.items() if site["type"] == "sample" or name == RATES]
    found = {name: variable(name, sites[name], parents[name], blocks.get(name, "")) for name in chosen}
    for name, each in found.items():
        if each.observed and RATES in found:
            others = [parent for parent in each.parents if parent not in found[RATES].parents]
            found[name] = dataclasses.replace(each, parents=(RATES, *others))
    return found


def variable(name: str, site: dict[str, Any], parents: list[str], block: str) -> Variable:
    """The variable of a site of a trace."""
    if site["type"] == "deterministic":
        return Variable(name, "", PLATES, (), tuple(parents))
    frames = [frame.name.removesuffix(CLONE) for frame in site["cond_indep_stack"]]
    axes = [axis for axis in site["infer"].get("event_dims", ()) if axis is not None]
    places = {*frames, *axes}
    return Variable(
        name,
        GIVEN_BY.sub("", type(bare(site["fn"])).__name__),
        tuple(plate for plate in PLATES if plate in places),
        tuple(axis for axis in [*frames, *axes] if axis not in PLATES),
        tuple(parents),
        bool(site["is_observed"]),
        block,
    )


def bare(distribution: Any) -> dist.Distribution:
    """A distribution without what repeats it, masks it, or makes events of its axes."""
    while isinstance(distribution, dist.ExpandedDistribution | dist.MaskedDistribution | dist.Independent):
        distribution = distribution.base_dist
    return distribution
