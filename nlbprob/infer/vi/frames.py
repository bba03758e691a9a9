"""Where a variational family starts: centres, roots of covariances, and what all neurons share."""

from typing import NamedTuple

from jaxtyping import Array, Float

#: A root of the covariance of the entries of all sites but the readout's, or its diagonal; None if unknown.
RootOfRest = Float[Array, "entry entry"] | Float[Array, " entry"] | None
#: Directions in which the readouts of all neurons move together, each one standard deviation long.
Shared = Float[Array, "neuron width direction"] | None
#: The covariance of each neuron's readout, `RootOfRest` and `Shared`; see `nlbprob.infer.vi.widths.widths`.
Widths = tuple[Float[Array, "neuron width width"] | None, RootOfRest, Shared]


class LocationScale(NamedTuple):
    """Where a group of parameters starts.

    Attributes:
        centre: of each row.
        root: of the covariance of each row, lower-triangular.
        shared: directions in which all rows move together, each one standard deviation long; None: there are none.
    """

    centre: Float[Array, "row width"]
    root: Float[Array, "row width width"]
    shared: Float[Array, "row width direction"] | None = None
