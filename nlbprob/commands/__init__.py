"""The verbs of the `nlbprob` command, one module each: `add_arguments(parser)` and `run(arguments) -> exit code`.

Their modules import nothing heavy at the top, so that `--help` is quick.
"""
