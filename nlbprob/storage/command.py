"""The `nlbprob` command under way, as manifests and messages quote it."""

import contextvars
import dataclasses
import os
import pathlib
import shlex

#: The words after `nlbprob`; none in a Python session. Set by `nlbprob.cli`.
WORDS: contextvars.ContextVar[tuple[str, ...]] = contextvars.ContextVar("words", default=())


@dataclasses.dataclass(frozen=True)
class Command:
    """A command line: the words after `nlbprob` (none for a Python session), and the folder it was typed in."""

    words: tuple[str, ...]
    folder: str

    @classmethod
    def current(cls) -> "Command":
        """The one under way."""
        return cls(WORDS.get(), os.getcwd())

    @property
    def verb(self) -> str:
        """Its first word, or "" in a Python session."""
        return self.words[0] if self.words else ""

    def __str__(self) -> str:
        return shlex.join(["nlbprob", *self.words]) if self.words else "a Python session"

    def typed(self, *flags: str, options: dict[str, str] | None = None) -> str:
        """The line to type again, from the present folder, with these flags and options beside or in place of its own.

        >>> command = Command(("fit", "m", "a.nwb", "--init", "x", "--out", "r"), os.getcwd())
        >>> command.typed("--force", options={"--init": "r"})
        'nlbprob fit m a.nwb --out r --force --init r'
        """
        options = options or {}
        words, skip = [], False
        for word in self.words:
            name, equals, _ = word.partition("=")
            dropped = skip or name in options or word in flags
            skip = not skip and name in options and not equals
            if not dropped:
                words.append(word)
        words += [*flags, *(part for pair in options.items() for part in pair)]
        line = shlex.join(["nlbprob", *words])
        here = pathlib.Path(self.folder) == pathlib.Path.cwd()
        return line if here else f"cd {shlex.quote(self.folder)} && {line}"
