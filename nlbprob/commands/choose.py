"""Choose keywords of a model by cross-validation inside the trials to fit on, and say how to fit with them.

--model.dim 4 8 12 tries each of these; of several options every combination. Folds are fitted by EM alone unless
--svi-steps says otherwise; what a configuration says of init, draws and score-on is for `nlbprob fit`.
"""

import json
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from nlbprob.commands.options import add_config, add_data_options, add_options, configured, values_of
from nlbprob.commands.terminal import say
from nlbprob.configuration import Configuration
from nlbprob.errors import InputError
from nlbprob.model_file import ModelFile, find_model, typed_options
from nlbprob.options import Option, count, one_of
from nlbprob.settings import OPTIONS as OF_RUN
from nlbprob.settings import Settings

if TYPE_CHECKING:
    from nlbprob.selection.choose import Choice

RULES = ("best", "one-standard-error")
#: How to cross-validate: keywords of `nlbprob.choose`.
OPTIONS = {
    "folds": Option(3, count, "a whole number, 2 or more", "parts that the trials are cut into (default 3)", "N", int),
    "rule": Option(
        "best",
        one_of(*RULES),
        f"a rule: {' or '.join(RULES)}",
        "take the best, or the first that is not clearly worse: then write values from simple to rich (default best)",
        "{" + ",".join(RULES) + "}",
    ),
}
#: Options of a run that a fold of it has, too.
OF_FOLDS = (
    "seed",
    "posterior",
    "em_iterations",
    "svi_steps",
    "batch_size",
    "precision",
    "early_stopping",
    "fit_on",
    "shared",
)


def add_arguments(parser) -> None:
    """Add the model, the values to try, the recordings and how to fit the folds."""
    parser.add_model(with_data=True, grids=True)
    parser.add_argument("--out", metavar="FILE", help="write the table as JSON to this file, too")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    add_config(parser)
    add_options(parser.add_argument_group("how to choose"), OPTIONS)
    add_options(parser.add_argument_group("how to fit the folds"), {name: OF_RUN[name] for name in OF_FOLDS})
    add_data_options(parser)


def run(arguments) -> int:
    """Fit all candidates to all folds, and print the table and what was chosen."""
    values, config = configured(arguments)
    file = find_model(values["model"])
    grids = read_grids(arguments.model_options, file, config)
    settings, options = Settings(**values), values_of(arguments, OPTIONS)
    if not isinstance(settings.seed, int):
        raise InputError("--seed: choose takes one seed, of the folds and of every fit.")
    out = None if arguments.out is None else free_file(pathlib.Path(arguments.out))
    say(f"Reading {', '.join(settings.recordings)} ...", file=sys.stderr)

    from nlbprob.files import write_text
    from nlbprob.selection.choose import choose

    trials = settings.read().split(*settings.splits[0])
    say(trials, *(f"Note: {note}" for note in trials.source.get("notes", [])), file=sys.stderr)
    fit_options = {name: value for name, value in settings.fit_options.items() if name in values and name != "seed"}
    keywords: dict[str, Any] = {**options, **grids}
    choice = choose(settings.model, trials, seed=settings.seed, fit_options={"svi_steps": 0} | fit_options, **keywords)
    text = json.dumps(described(choice, settings), indent=2, allow_nan=False)
    if out is not None:
        write_text(out, text + "\n")
    say(text if arguments.json else choice)
    words = [f"--model.{name} {shlex.quote(str(value))}" for name, value in choice.keywords.items()]
    say(f"Fit it: nlbprob fit {shlex.quote(settings.model)} DATA {' '.join(words)} --out RUN", file=sys.stderr)
    return 0


def free_file(path: pathlib.Path) -> pathlib.Path:
    """A path that may be written to. Raises InputError where something is there, or no folder for it."""
    if path.exists():
        raise InputError(f"--out: {path} exists already; name another file.")
    if not path.parent.is_dir():
        raise InputError(f"--out: there is no folder {path.parent}; make it first.")
    return path


def read_grids(texts_by_name: dict[str, list[str]], file: ModelFile, config: Configuration) -> dict[str, list[Any]]:
    """The values to try by option of the model: those of flags, over those of [model], where a list is of several.

    Raises:
        InputError: an option is unknown or of another type, or has a name that `choose` takes for itself.
    """
    where, grids = f"{config.where}, [model]", {}
    for name, value in config.model.items():
        several = isinstance(value, list) and name in file.options and file.options[name].kind != "literal"
        grids[name] = [typed_options(file, {name: one}, where)[name] for one in (value if several else [value])]
    file.check({**grids, **texts_by_name})
    grids |= {name: [file.options[name].parse(text) for text in texts] for name, texts in texts_by_name.items()}
    if not any(len(grid) > 1 for grid in grids.values()):
        raise InputError("There is nothing to choose from: give the values of an option, as in --model.dim 4 8 12.")
    if taken := {*OPTIONS, "model", "trials", "seed", "fit_options", "progress"} & grids.keys():
        raise InputError(f"{file.path}: choose has an option {min(taken)!r} of its own; rename that of model().")
    return grids


def described(choice: "Choice", settings: Settings) -> dict[str, Any]:
    """What `--json` prints of a choice."""
    from nlbprob.files import plain

    table = choice.table
    numbers = ("score", "standard_error", "difference", "difference_standard_error")
    candidates = [
        {
            "keywords": {name: table[name].values[place] for name in choice.keywords},
            **{name: table[name].values[place] for name in numbers},
            "fold_scores": table["fold_score"].values[place],
        }
        for place in range(table.sizes["candidate"])
    ]
    description: Any = {
        "model": settings.model,
        "data": settings.recordings,
        "data_options": settings.data_options,
        "measure": choice.measure,
        "split": choice.split,
        "chosen": choice.keywords,
        "candidates": candidates,
    }
    result: Any = plain(description)
    return result
