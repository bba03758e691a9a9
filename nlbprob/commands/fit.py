"""Fit a model to a recording, score it, and write all that came of it to a folder.

Several recordings are stitched: they share latents and dynamics, and each neuron has a readout of its own.
--fit-on train+val --score-on test learns from two splits and scores on a third.
--resume RUN continues a fit that was interrupted, killed or failed, with the settings with which it began.
"""

import pathlib

from nlbprob.commands.options import BY_PLACE, OF_DATA, add_config, add_data_options, add_options, configured
from nlbprob.commands.terminal import say
from nlbprob.configuration import Configuration
from nlbprob.errors import InputError
from nlbprob.model_file import ModelFile, find_model, typed_options
from nlbprob.run_config import OPTIONS
from nlbprob.settings import Settings


def add_arguments(parser) -> None:
    """Add the model, the recordings, how to read them and how to fit."""
    parser.add_model(with_data=True)
    parser.add_argument("--out", metavar="RUN", help="folder to write the run to")
    parser.add_argument("--resume", metavar="RUN", help="continue an unfinished run; no other argument is given then")
    parser.add_argument("--force", action="store_true", help="replace the run that the folder holds")
    add_config(parser)
    options = {name: option for name, option in OPTIONS.items() if name not in BY_PLACE}
    add_options(parser.add_argument_group("how to fit"), options)
    add_data_options(parser)


def run(arguments) -> int:
    """Fit, score, write, and print the scores and where everything lies."""
    if arguments.resume is not None:
        return go_on(arguments)
    if arguments.out is None:
        raise InputError("nlbprob fit: --out RUN is missing: name the folder to write the run to.")
    settings, file = read_settings(arguments)
    say(f"Reading {', '.join(settings.recordings)} ...")

    from nlbprob.run import perform

    metrics = perform(settings, arguments.out, force=arguments.force)
    return tell(metrics, f"{file.name} on {', '.join(settings.recordings)}", arguments.out)


def go_on(arguments) -> int:
    """Continue an unfinished run, and print what a fit prints."""
    others = [
        name for name, value in vars(arguments).items() if name != "resume" and value not in (None, [], {}, False)
    ]
    if others:
        name = others[0].removeprefix(OF_DATA).replace("_", "-")
        raise InputError(
            f"nlbprob fit --resume {arguments.resume}: the fit goes on as it was begun, so that {name} cannot "
            "be given; leave it out, or begin a new run with --out."
        )

    from nlbprob.run import resume

    say(f"Going on with {arguments.resume} ...")
    metrics = resume(arguments.resume)
    return tell(metrics, str(arguments.resume), arguments.resume)


def tell(metrics: dict, title: str, folder: str) -> int:
    """Print the scores and where everything lies."""
    from nlbprob.commands.table import print_scores

    print_scores(metrics, title)
    say(metrics["verdict"], f"Everything is in {folder}; look at {folder}/report.html first.")
    return 0


def read_settings(arguments) -> tuple[Settings, ModelFile]:
    """The run's settings, and its model's file. Raises InputError where something that is given is wrong."""
    values, config = configured(arguments)
    file = model_of(values["model"], config)
    options = typed_options(file, dict(config.model), f"{config.where}, [model]")
    return Settings(**values, model_options=file.parse(arguments.model_options, options)), file


def model_of(model: str, config: Configuration) -> ModelFile:
    """The model's file, with a note where an earlier run of another version of it is repeated.

    Raises:
        InputError: as `find_model` does, with the copy that the run keeps as the remedy.
        FileNotFoundError: likewise.
    """
    kept = None if config.run is None else config.run / "model.py"
    if kept is None or not kept.is_file() or config.fit.get("model") != model:
        return find_model(model)
    try:
        file = find_model(model)
    except (FileNotFoundError, InputError) as error:
        raise InputError(f"{error} The model as the run fitted it is {kept}: name that as MODEL.") from None
    if pathlib.Path(file.path).read_bytes() != kept.read_bytes():
        say(f"Note: {file.path} has changed since the run; to fit the model as it was, name {kept} as MODEL.")
    return file
