"""The log of a fit that was cut off: what can be read goes on, what cannot is dropped."""

import json
import math

import numpy as np

from nlbprob.infer.em.steps import EMState
from nlbprob.infer.fit.log import Log, lines, seconds_of
from nlbprob.infer.fit.state import FitInfo, FitState


def test_a_torn_last_line_is_no_line(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"seconds": 1.0}\n\xff\xfe{"seconds": 2.0}\n{"seconds": 3')
    assert [seconds_of(line) for line in lines(path)] == [1.0, math.inf]
    assert lines(tmp_path / "none.jsonl") == []


def test_a_damaged_line_is_of_no_time():
    for line in ('{"seconds": "x"}\n', '{"step": 1}\n', "{}\n", '{"seconds": [}\n', '{"seconds": null}\n'):
        assert seconds_of(line) == math.inf


def test_lines_that_a_killed_process_had_not_written_are_added_and_later_ones_removed(tmp_path):
    path = tmp_path / "log.jsonl"
    infos = tuple(FitInfo("em", step, 0, -5.0, (-5.0,), float(step)) for step in (1, 2, 3))
    path.write_text('{"step": 1, "seconds": 1.0}\n{"step": 7, "seconds": 7.0}\n')
    start = FitState("em", EMState({}, np.zeros((1, 1, 1)), (), None))
    Log(path, start.replace(log=infos))
    written = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["step"], line["seconds"]) for line in written] == [(1, 1.0), (2, 2.0), (3, 3.0)]
    assert written[1]["elbo"] == -5.0
    Log(path, start)
    assert path.read_text() == ""
