"""The unit of every variable that a posterior gives, by its name, and how numbers are written."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int

if TYPE_CHECKING:
    import xarray

#: Ends of names that say the unit.
ENDS = {"_ms": "ms", "_hz": "Hz"}
#: Units of variables by their name, and of those that stand for something else in one group.
NAMES = {
    "spikes": "spikes/bin",
    "rates": "spikes/bin",
    "elbo": "nats",
    "lp": "nats",
    "behavior": "as recorded",
}
IN_GROUP = {("log_likelihood", "spikes"): "nats"}
#: A number without a unit, as in the CF conventions; latents are in standard deviations of their prior.
NONE = "1"


def unit_of(name: str, group: str = "") -> str:
    """The unit of a variable: that at the end of its name, that of its kind, or "1" where it has none."""
    if known := IN_GROUP.get((group, name)) or NAMES.get(name):
        return known
    return next((unit for end, unit in ENDS.items() if name.endswith(end)), NONE)


def with_units(dataset: "xarray.Dataset", group: str = "") -> "xarray.Dataset":
    """The data set, every variable of which says its unit in the attribute "units"."""
    for name, variable in dataset.data_vars.items():
        variable.attrs.setdefault("units", unit_of(str(name), group))
    return dataset


def numbered(count: int) -> Int[np.ndarray, " each"]:
    """The numbers of modes, regimes or templates, from 1, as figures and the report show them."""
    return np.arange(1, count + 1)


def digits(value: float) -> str:
    """Three significant digits, with commas, never in powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
