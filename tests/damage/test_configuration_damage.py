"""Damaged configuration files and records of runs: read, or refused with a message."""

import dataclasses
import json
import random

import pytest

from nlbprob.commands import fit
from nlbprob.commands.parser import Parser
from nlbprob.data.options import resolve
from nlbprob.errors import InputError
from nlbprob.settings import Settings
from tests.damage.worker import seeds

WHOLE = """[fit]
model = "poisson_lds"
data = ["a.nwb", "b.nwb"]
seed = [0, 1]
early-stopping = 0.1
fit-on = ["train", "val"]
score-on = "test"
[data]
bin-ms = 5
window-ms = [-250, 450]
condition = ["side"]
[model]
dim = 16
"""
SETTINGS = Settings("poisson_lds", ["a.nwb", "b.nwb"], {"dim": 3}, {"bin_ms": 5})
TEXTS = {"f.toml": WHOLE, "f.json": json.dumps({"settings": dataclasses.asdict(SETTINGS)})}
PIECES = ["[", "]", "=", "1e999", "nan", "true", "null", "{", "}", "\n", "\x1b", '"', "-", "9" * 40, "1979-05-27", "é"]


def damaged(text, seed):
    """The text with a few pieces lost, doubled, put in or cut off."""
    generator = random.Random(seed)
    for _ in range(generator.choice([1, 1, 2, 5])):
        place, other = (generator.randrange(len(text) + 1) for _ in range(2))
        text = generator.choice(
            [
                text[:place] + text[place + generator.randrange(1, 8) :],
                text[:place] + generator.choice(PIECES) + text[place:],
                text[:place] + text[other : other + 20] + text[place:],
                text[:place],
            ]
        )
    return text


@pytest.mark.parametrize("seed", list(seeds(200, 20)))
@pytest.mark.parametrize("name", TEXTS)
def test_a_damaged_configuration_is_read_or_refused_in_words(tmp_path, name, seed):
    path = tmp_path / name
    path.write_text(damaged(TEXTS[name], seed), encoding="utf-8")
    parser = Parser(prog="nlbprob fit")
    fit.add_arguments(parser)
    arguments = parser.parse_args(["--config", str(path), "--out", "run"])
    for read, kind in ((lambda: fit.read_settings(arguments)[0], Settings), (lambda: resolve(path), dict)):
        try:
            assert isinstance(read(), kind)
        except (InputError, FileNotFoundError) as error:
            lines = str(error).splitlines()
            assert lines
            assert all(line and line.isprintable() for line in lines)
