"""The `nlbprob` command: picks the verb, and turns errors into one clean message and an exit code.

0: done; 1: what was checked does not pass, or an experiment failed; 2: something handed in cannot be used;
130: interrupted.
"""

import contextlib
import gc
import importlib
import os
import pathlib
import sys
import warnings
from collections.abc import Sequence

from nlbprob.commands.terminal import say
from nlbprob.errors import InputError, suggestion

#: The exit code after Ctrl-C, or a signal that is treated like it.
INTERRUPTED = 130
#: Verb -> what it does. Each is the module of that name in `nlbprob.commands`, imported when asked for.
VERBS = {
    "demo": "simulate a recording, fit it, score it and write its report",
    "simulate": "draw a recording from a model and write it as NWB files",
    "fit": "fit a model to a recording, score it and write a report",
    "run": "run experiments: fit, score, report and enter each of a folder",
    "choose": "choose sizes of a model by cross-validation",
    "average": "average the rates of runs of several models",
    "replicate": "see what of a run comes again in other fits",
    "compare": "compare the predictions of runs on the same trials",
    "pareto": "show runs by accuracy and parsimony, beside published entries",
    "score": "print the scores of a run, or score a submission as the benchmark does",
    "report": "write a run's report.html again",
    "download": "download a data set of the benchmark, or its test targets",
    "tensors": "write the benchmark's input and target files of a data set",
    "check": "verify the files of a run, or a submission against its inputs",
    "combine": "merge submissions into one file",
    "entry": "make an entry to the benchmark of a run, or check one",
    "test": "refit a run on train and val, and score it on test",
    "leaderboard": "print the published numbers, with your runs in their place",
    "new": "copy a model that comes with nlbprob, to edit",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `nlbprob` with the words `argv` (those of the command line by default) and return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    prepare()

    from nlbprob.commands.interrupts import interruptible
    from nlbprob.storage.command import WORDS

    token = WORDS.set(tuple(words))
    try:
        with interruptible():
            return dispatch(words)
    except KeyboardInterrupt as stop:
        if debug:
            raise
        print(f"\nnlbprob: {(str(stop) or 'interrupted').removesuffix('.')}.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (InputError, OSError) as error:
        if debug:
            raise
        say(f"nlbprob: {error}", file=sys.stderr)
        return 2
    finally:
        WORDS.reset(token)


def program() -> int:
    """The `nlbprob` program: `main`, and an end that waits for nothing once it is interrupted.

    Python would wait for every thread that compiles or scores, and a second Ctrl-C would then end in a traceback. A
    signal that comes while Python shuts down changes neither what was done nor the exit code that says so.
    """
    from nlbprob.commands.interrupts import ignore

    code = main()
    ignore()
    if code == INTERRUPTED:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    return code


def prepare() -> None:
    """Set what concerns this process alone: the cache of compiled programs, the garbage collector."""
    if (cache := cache_folder()) is not None:
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache / "jax"))
        warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    gc.set_threshold(100_000, 20, 20)  # tracing models makes objects by the million, hardly any of them in cycles


def cache_folder() -> pathlib.Path | None:
    """Where compiled programs are kept from one command to the next: NLBPROB_CACHE, or the platform's place.

    None where that cannot be had: there is no home, or nothing may be written there.
    """
    try:
        if named := os.environ.get("NLBPROB_CACHE"):
            folder = pathlib.Path(named)
        elif sys.platform == "darwin":
            folder = pathlib.Path.home() / "Library" / "Caches" / "nlbprob"
        else:
            folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nlbprob"
    except RuntimeError:  # no HOME, and no entry of this user in the password file
        return None
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    return folder if there.is_dir() and os.access(there, os.W_OK | os.X_OK) else None


def dispatch(words: list[str]) -> int:
    """Run the verb that `words` begins with; InputError where there is none of that name."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from nlbprob import __version__

        print(f"nlbprob {__version__}")
        return 0
    verb, *arguments = words
    if verb not in VERBS:
        raise InputError(f"There is no verb {verb!r}. {suggestion(verb, VERBS)}")

    from nlbprob.commands.parser import Parser

    module = importlib.import_module(f"nlbprob.commands.{verb}")
    parser = Parser(prog=f"nlbprob {verb}", description=module.__doc__)
    module.add_arguments(parser)
    return module.run(parser.parse_args(arguments))


def overview() -> str:
    """What `nlbprob --help` prints."""
    verbs = "\n".join(f"  {verb:<13}{text}" for verb, text in VERBS.items())
    return f"""usage: nlbprob VERB ...

Generative models of spiking activity: write one from blocks, fit it in minutes, score and read it.

{verbs}

`nlbprob VERB --help` describes each, `nlbprob --version` prints the version, and `--debug` after any verb shows
where an error came from. Start with `nlbprob demo`."""
