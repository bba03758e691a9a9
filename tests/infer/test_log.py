"""The log of a fit that was cut off: what can be read goes on, what cannot is dropped."""

import math

from nlbprob.infer.fit.log import lines, seconds_of


def test_a_torn_last_line_is_no_line(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"seconds": 1.0}\n\xff\xfe{"seconds": 2.0}\n{"seconds": 3')
    assert [seconds_of(line) for line in lines(path)] == [1.0, math.inf]
    assert lines(tmp_path / "none.jsonl") == []


def test_a_damaged_line_is_of_no_time():
    for line in ('{"seconds": "x"}\n', '{"step": 1}\n', "{}\n", '{"seconds": [}\n', '{"seconds": null}\n'):
        assert seconds_of(line) == math.inf
