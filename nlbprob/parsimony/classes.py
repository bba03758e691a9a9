"""What can be read of a model, by class: of a fit from its blocks, of a published entry from its paper."""

import csv
import dataclasses
import importlib.resources
from typing import TYPE_CHECKING

from nlbprob.blocks.templates import Templates

if TYPE_CHECKING:
    from nlbprob.posterior.fitted import FittedModel

LINEAR, TEMPLATES, SWITCHING, NONLINEAR = "linear", "templates", "switching linear", "nonlinear"
ORACLE = "oracle"
AVERAGE, NOT_STATED = "average of models", "not stated"
#: Class -> what it means; from what is read most easily to what is not read at all.
CLASSES = {
    "smoothing": "no latents: smoothed counts, and a regression on them",
    LINEAR: "latents with linear dynamics or a Gaussian-process prior: modes, timescales and loadings to read",
    TEMPLATES: "every trial follows one of a set of courses, which can be drawn",
    SWITCHING: "linear dynamics, of which a discrete regime chooses one: the modes of each regime to read",
    NONLINEAR: "few latents with a flow that is written down or of low rank: fixed points to find",
    "recurrent network": "latents that a trained network moves: its dynamics are studied after the fit",
    "transformer": "attention over bins, no dynamics",
    AVERAGE: "rates of several models, averaged",
    NOT_STATED: "no paper on the entry was found",
}


@dataclasses.dataclass(frozen=True)
class PublishedClass:
    """The class of a published entry, what supports it, and the paper that says so."""

    dynamics: str
    reason: str
    paper: str


def published_classes() -> dict[str, PublishedClass]:
    """The classes of the benchmark's published entries by the names that the leaderboard gives them.

    One that knows the condition of the scored trials has the class `ORACLE`, and stands on no front.
    """
    text = importlib.resources.files("nlbprob.parsimony").joinpath("published.csv").read_text(encoding="utf-8")
    return {
        line["model"]: PublishedClass(line["class"], line["reason"], line["paper"])
        for line in csv.DictReader(text.splitlines())
    }


def block_classes(posterior: "FittedModel") -> dict[str, str]:
    """The class of each latent block of a fit, by the block's name.

    A block is "linear" where its prior is a linear-Gaussian chain at given parameters, which a Gaussian process with a
    state-space kernel is, too; "switching linear" with regimes; "nonlinear" with a drift.
    """
    found = {block.name: TEMPLATES for block in posterior.model.latents if isinstance(block, Templates)}
    for block, dynamics in zip(posterior.model.chains, posterior.centre.dynamics, strict=True):
        found[block.name] = SWITCHING if block.n_regimes else LINEAR if dynamics.drift is None else NONLINEAR
    return {block.name: found[block.name] for block in posterior.model.latents}


def model_class(blocks: dict[str, str]) -> str:
    """The class of a whole model: of those of its blocks the one that is read least easily."""
    order = list(CLASSES)
    return max(blocks.values(), key=order.index)
