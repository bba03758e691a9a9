"""The bound that the second stage raises, at one draw of the parameters."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Key
from numpyro import handlers
from numpyro.infer import ELBO
from numpyro.infer.util import log_density


class OneDraw(ELBO):
    """log p(y, z) - log q(z) at one draw of z: `Trace_ELBO`, its terms in the same order in every process.

    (That one sums them in the order of a set, which changes with the hash seed: results to the last digits, and the
    name under which a compiled program is kept.)
    """

    def loss_with_mutable_state(
        self,
        rng_key: Key[Array, ""],
        param_map: dict[str, Array],
        model: Callable[..., object],
        guide: Callable[..., object],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, Any]:
        keys = jax.random.split(rng_key)
        log_q, drawn = log_density(handlers.seed(guide, keys[1]), args, kwargs, param_map)
        log_p, traced = log_density(handlers.replay(handlers.seed(model, keys[0]), drawn), args, kwargs, param_map)
        state = {name: site["value"] for name, site in traced.items() if site["type"] == "mutable"}
        return {"loss": log_q - log_p, "mutable_state": state}
