"""A fit that saves what it finds to a run's stage: its posterior, and on the way checkpoints and a log."""

from collections.abc import Callable, Sequence

from nlbprob import files
from nlbprob.settings import Settings
from nlbprob.storage.stage import CHECKPOINT, LOG, Stage


def fit_posterior(
    model,
    trials,
    settings: Settings,
    stage: Stage,
    init,
    progress: bool,
    *,
    under: str = "",
    watchers: Sequence[Callable] = (),
    resumable: bool = False,
):
    """Fit `model` to the trials of `fit_on` from `init` on, and save the posterior to a stage, on Ctrl-C too.

    Args:
        model, trials, settings, init: what to fit, to what, how, and from where on.
        stage: what is found is saved here.
        progress: show a bar.
        under: the folder in the stage.
        watchers: called with the state and the `FitInfo` of every step.
        resumable: go on from the stage's checkpoint where there is one, and write checkpoints and a log.
    """
    from nlbprob.infer.fit.checkpoint import Checkpoints
    from nlbprob.infer.fit.fit import Interrupted, drive
    from nlbprob.infer.fit.log import Log
    from nlbprob.infer.fit.loop import steps

    place = f"{under}posterior"

    def keep(posterior):
        with files.signals_deferred(), files.translated(stage.path / place):
            posterior.save(stage.path / place)
            stage.add(place)

    try:
        learned = settings.learned(trials)
        checkpoint = stage.path / CHECKPOINT if resumable else None
        running = steps(model, learned, settings.fit_config, init=init, checkpoint=checkpoint)
        if checkpoint is not None:
            watchers = [*watchers, Checkpoints(running, checkpoint), Log(stage.path / LOG, running.state)]
        posterior = drive(running, progress, watchers)
    except Interrupted as stop:
        if stop.posterior is not None:
            keep(stop.posterior)
        raise
    keep(posterior)
    return posterior
