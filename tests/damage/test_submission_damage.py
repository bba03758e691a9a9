"""A damaged submission is refused with a message, or scored as the undamaged one: no traceback, crash or hang."""

import pytest

from nlbprob.errors import printable
from tests.damage.submissions import checked, combined, commanded, damage, files, scored
from tests.damage.worker import seeds


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder, content of the submission, targets, inputs, its results)."""
    folder = tmp_path_factory.mktemp("submissions")
    submission, target, places = files(folder)
    return folder, submission.read_bytes(), target, places, scored(submission, target)


@pytest.mark.parametrize("seed", list(seeds(100)))
def test_a_damaged_submission_is_refused_or_scored_as_it_was(worker, whole, seed):
    folder, content, target, places, results = whole
    path = damage(content, folder, seed)
    outcomes = {
        "evaluate": worker.call(scored, path, target),
        "combine": worker.call(combined, path, folder / f"combined_{seed}.h5", target),
        "check": worker.call(checked, path, places),
        "commands": worker.call(commanded, path, target, places),
    }
    assert {outcome.kind for outcome in outcomes.values()} <= {"fine", "refused"}, outcomes
    for name in ("evaluate", "combine"):
        outcome = outcomes[name]
        assert outcome.kind == "refused" or outcome.value == results, (name, outcome)
        assert len(outcome.text) < 1500
        assert printable(outcome.text) == outcome.text
    (score, check), found = outcomes["commands"].value
    refused = outcomes["evaluate"].kind == "refused"
    assert (score[0], found) == ((2, None) if refused else (0, results))
    assert check[0] in (0, 1, 2)
    for _, *streams in (score, check):
        assert all(printable(line) == line for text in streams for line in text.splitlines())
    path.unlink()


def test_all_kinds_of_damage_are_tried():
    assert len({seed % 3 for seed in range(20)}) == 3
