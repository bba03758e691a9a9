"""What is said below figures, from their numbers."""

import numpy as np
import pytest

from nlbprob.plot.courses import Courses
from nlbprob.plot.trials import Group
from nlbprob.reporting import decoding, dynamics, learning, loadings, neurons, psths, rasters, scores, trajectories
from nlbprob.reporting import turning as drawing
from nlbprob.reporting.numbers import Estimate
from nlbprob.reporting.sentences import Mode
from nlbprob.reporting.view import View


@pytest.fixture
def view(case) -> View:
    return View(case.posterior, case.trials, case.rates, case.metrics, case.config)


def test_scores_are_told_apart_or_not():
    entries = [("this model", Estimate(0.3, (0.25, 0.35))), ("a", Estimate(0.1, (0.05, 0.15)))]
    entries += [("b", Estimate(0.3, (0.2, 0.4))), ("c", Estimate(0.2)), ("d", Estimate(0.5, (0.4, 0.6)))]
    assert scores.seen(entries, {}) == (
        "This model: above a; not told apart from b; below d; without interval, not compared with c."
    )
    assert scores.seen(entries[:3], {"b": Estimate(0.01, (0.005, 0.02))}) == "This model: above a and b."
    assert scores.seen(entries[:1], {}) == ""


def test_the_bound_is_said_to_rise_and_to_be_level():
    values = np.concatenate([np.linspace(-100.0, -1.0, 19), [0.0]])
    assert learning.rising(values) == "The last tenth of the iterations gained 6.5 nats, 6.5% of the total rise."
    assert learning.rising(np.array([-5.0])) == "The last tenth of the iterations gained 0 nats."
    noisy = np.repeat([0.0, 1.0, 5.0, 3.0], 4) + np.tile([1.0, -1.0], 8)
    assert learning.level(noisy) == (
        "From the third quarter of the steps to the last the mean changed by −2 nats; single steps scatter by 1."
    )
    assert "Too few steps" in learning.level(noisy[:7])


def test_averages_are_compared_by_correlation_and_peak():
    recorded = [np.array([1.0, 2.0, np.nan]), np.array([3.0, 4.0, 5.0])]
    predicted = [2 * course for course in recorded]
    assert psths.alike(recorded, predicted) == "The two correlate at 1.00; their peaks are 5.0 and 10.0 Hz."
    assert "at −1.00;" in psths.alike(recorded, [-course for course in recorded])
    assert psths.alike(recorded, predicted[:1]) == "Not every condition has a scored trial."
    assert psths.alike(recorded, [np.ones(3), np.ones(3)]) == ""


def test_decoding_explains_a_part_of_the_variance():
    true = np.array([[0.0, 1.0, np.nan], [2.0, 3.0, 4.0]])
    assert " 100% of the variance" in decoding.seen(true, true)
    assert " 0% of the variance" in decoding.seen(true, np.full_like(true, 2.0))
    assert " −" in decoding.seen(true, -true)
    assert decoding.seen(np.ones((2, 3)), true) == ""


def test_spikes_of_held_out_neurons_stand_beside_those_expected(view):
    row, heldout = 9, view.trials.heldout
    fired, expected = view.trials.counts[row][:, heldout].sum(), view.rates[row][:, heldout].sum()
    words = f"Held-out neurons fired {fired} spikes in this trial; their rates expect {expected:.0f}."
    assert rasters.seen(view, row) == words


def test_modes_that_turn_and_that_are_slow_are_counted():
    def mode(number, turns, low, decay):
        estimates = (Estimate(1.0, (low, 2.0)), Estimate(decay), Estimate(1.0))
        return Mode(number, turns, *estimates, 0.5)

    found = [mode(1, True, 0.5, 900.0), mode(2, True, 0.0, 100.0), mode(3, False, 0.0, 100.0)]
    assert dynamics.seen(found, 700.0) == (
        "1 of 3 modes turns, 1 more with an interval that includes 0 Hz; 1 above the dashed line."
    )
    assert dynamics.seen(found[2:], 50.0) == "0 of 1 mode turn; 1 above the dashed line."


def test_loadings_apart_from_zero_are_counted(view):
    centre = np.array([[1.0, -1.0], [0.0, 0.0], [1.0, 0.0]])
    vars(view)["parameter_draws"] = {"loadings": centre + np.linspace(-0.5, 0.5, 50)[:, None, None]}
    assert loadings.seen(view) == "50% of the loadings have an interval without 0; 1 of 3 neurons have none such."
    assert loadings.seen_on(view, 0) == "It raises 2 neurons and lowers 0; the interval of the other 1 includes 0."
    assert loadings.seen_on(view, 1) == "It raises 0 neurons and lowers 1; the interval of the other 2 includes 0."
    vars(view)["areas"] = None


def test_held_out_neurons_are_summed_up():
    bits, spikes = np.array([0.4, 0.2, -0.1, 0.3]), np.array([70.0, 10.0, 10.0, 10.0])
    assert neurons.ranked(bits).seen == "From −0.100 to 0.400 bits per spike; median 0.250."
    assert neurons.over_spikes(bits, spikes).seen == (
        "The quarter of these neurons with the most spikes fired 70% of them; the median there is 0.400 bits per spike."
    )
    panel = neurons.by_area(bits, np.array(["M1", "V1", "V1", "M1"]))
    assert panel.seen == "Highest median: M1 (0.350); lowest: V1 (0.050)."


@pytest.fixture
def courses(case) -> Courses:
    """Two conditions, whose trials are alike within each; the third latent is noise."""
    trials = case.trials.select(trials=np.arange(4))
    mean = np.zeros((4, 20, 3))
    mean[:2, :, 0], mean[2:, 5, 1] = 1.0, 3.0
    mean[..., 2] = np.random.default_rng(0).normal(size=(4, 20))
    groups = [Group("0", "#332288", np.array([0, 1])), Group("1", "#3a9fcf", np.array([2, 3]))]
    return Courses(trials, mean, np.ones_like(mean), groups, [], ["a 1", "a 2", "b 1"])


def test_averages_explain_what_trials_share(courses):
    assert (
        trajectories.seen(courses, 0) == "Averages by condition make up 100% of its variance over the 4 trials shown."
    )
    assert 30 < float(trajectories.seen(courses, 2).split("up ")[1].split("%")[0]) < 80
    assert trajectories.seen(courses, 1).startswith("Averages by condition make up 100%")


def test_conditions_are_farthest_apart_where_they_are(courses):
    courses.mean[..., 2] = 0.0
    assert trajectories.apart(courses, [0, 1, 2]) == (
        "The averages of turn 0 and 1 lie farthest apart at 110 ms: 3.2 times a latent's size."
    )


def test_points_are_projected_by_an_eye_that_turns():
    points = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    middle = np.array([drawing.WIDTH / 2, drawing.HEIGHT / 2])
    offsets = drawing.projected(points, yaw=0.0, pitch=0.0) - middle
    np.testing.assert_allclose(offsets, [[0, 0], [drawing.RADIUS, 0], [0, 0], [0, -drawing.RADIUS]], atol=1e-9)
    above = drawing.projected(points, yaw=0.0, pitch=np.pi / 2) - middle
    np.testing.assert_allclose(above[[0, 2, 3]], [[0, 0], [0, -drawing.RADIUS], [0, 0]], atol=1e-9)
    # No point of the ball leaves the drawing, however it is turned.
    random = np.random.default_rng(0)
    for yaw, pitch in random.uniform(-np.pi / 2, np.pi / 2, size=(50, 2)):
        ball = random.normal(size=(200, 3))
        places = drawing.projected(ball / np.linalg.norm(ball, axis=1)[:, None], yaw, pitch)
        assert (places > 0).all()
        assert (places < [drawing.WIDTH, drawing.HEIGHT]).all()


def test_the_drawing_has_a_line_for_each_condition(courses):
    text = str(drawing.turning(courses, [0, 1, 2], "three <latents>"))
    assert text.count("<polyline") == 3 + 4 + 2
    assert text.count("<marker") == text.count("<circle") == 2
    assert "three &lt;latents&gt;" in text
    assert "nan" not in text.replace("dominant", "")
