"""The families that have a name."""

from typing import Any

from nlbprob.arguments import instance_of, one_of
from nlbprob.infer.vi.family import Family
from nlbprob.infer.vi.independent import Independent
from nlbprob.infer.vi.lowrank import LowRank
from nlbprob.infer.vi.neuron import Neuron
from nlbprob.infer.vi.point import Point

#: Families by the names that settings call them.
FAMILIES: dict[str, type[Family]] = {kind.name: kind for kind in (Neuron, Independent, LowRank, Point)}


def family_of(posterior: Any) -> Family:
    """A family, or the one of a name.

    Raises:
        InputError: it is neither.
    """
    if isinstance(posterior, Family | type):
        return instance_of(posterior, Family, "fit", "posterior", "a family, such as nlb.LowRank(10)")
    return FAMILIES[one_of(posterior, FAMILIES, "fit", "posterior")]()


def words_of(name: str) -> str:
    """What a family of this name is, for the report; the name itself where none is called so."""
    return FAMILIES[name].words if name in FAMILIES else name
