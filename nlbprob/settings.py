"""What a run is made from: the model, the recording, and how the one is fitted to the other."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a run is made from.

    model: the name of a model that comes with nlbprob, or the path of a model file; model_options: its keywords.
    data: the recording; data_options: keyword arguments of `nlbprob.load`.
    seed, posterior, em_iterations, svi_steps, early_stopping: as `nlbprob.fit` takes them; None leaves a length to it.
    init: the folder of a run (or of a posterior) of the same model and neurons to start from; None: from scratch.
    draws: of the posterior, kept in posterior.nc; latents: there as "summary" (mean and deviation) or "draws"; rates:
    how many draws have rates there; None: a few.
    fit_on, score_on: the split to learn from and that to score on; several are joined by "+".
    """

    model: str
    data: str
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    data_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0
    posterior: str = "neuron"
    em_iterations: int | None = None
    svi_steps: int | None = None
    early_stopping: float = 0.0
    init: str | None = None
    draws: int = 200
    latents: str = "summary"
    rates: int | None = None
    fit_on: str = "train"
    score_on: str = "val"

    @property
    def splits(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The splits to fit and those to score on, as the functions of `nlbprob.scoring` take them."""
        return tuple(self.fit_on.split("+")), tuple(self.score_on.split("+"))

    def load(self):
        """The trials of both, read from the recording."""
        from nlbprob.data.nwb import load

        return load(self.data, **self.data_options).split(*(name for names in self.splits for name in names))
