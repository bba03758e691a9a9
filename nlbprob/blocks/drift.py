"""A function of the state, written with NumPyro sites for its parameters, as a pytree of their values."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpyro.handlers
import numpyro.primitives
from jaxtyping import Array, Float

from nlbprob.blocks.calls import HANDLERS


class PrefixedSites(numpyro.primitives.Messenger):
    """Shows the sites of a function to what is outside under a prefix, each as one event without plates."""

    def __init__(self, prefix: str):
        super().__init__()
        self.prefix = prefix

    def process_message(self, msg: Any) -> None:
        if msg["type"] in ("deterministic", "plate"):
            msg["stop"] = True  # one has a value for every state, the other is no more
        if msg["type"] != "sample":
            return
        batch, event = len(msg["fn"].batch_shape), len(msg["fn"].event_shape)
        unnamed = [f"{self.prefix}.{msg['name']}_dim_{number}" for number in range(batch + event)]
        dims = [*unnamed[:batch], *msg["infer"].get("event_dims", unnamed[batch:])]
        msg["name"] = f"{self.prefix}.{msg['name']}"
        msg["fn"], msg["cond_indep_stack"] = msg["fn"].to_event(batch), []
        msg["infer"] = msg["infer"] | {"event_dims": dims}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Drift:
    """f(x) at given values of the function's sites.

    Attributes:
        parameters: by the full name of the site, such as "flow.rate".
        function: of one state [state].
        prefix: of the names of the sites.
    """

    parameters: dict[str, Any]
    function: Callable[[Array], Array] = dataclasses.field(metadata={"static": True})
    prefix: str = dataclasses.field(metadata={"static": True})

    def __call__(self, x: Float[Array, " state"]) -> Float[Array, " state"]:
        at_values = numpyro.handlers.substitute(data=self.parameters)
        with HANDLERS, numpyro.handlers.block(), at_values, PrefixedSites(self.prefix):
            return self.function(x)


def sampled_sites(function: Callable[[Array], Array], prefix: str, x: Array) -> tuple[dict[str, Any], Array]:
    """The sample sites of a function by their full names, which it samples here, and its value at x."""
    with numpyro.handlers.trace() as sites, PrefixedSites(prefix):
        value = function(x)
    return {name: site for name, site in sites.items() if site["type"] == "sample"}, value
