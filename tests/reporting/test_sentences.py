"""Each rule of the summary, on both sides of where it changes its words."""

import numpy as np
import pytest

from nlbprob.reporting import sentences
from nlbprob.reporting.numbers import Estimate, counted, fixed, joined, measured, percent, scored
from nlbprob.reporting.sentences import Mode
from nlbprob.reporting.verdicts import Baseline, Verdict, compared, comparison


def test_numbers_are_rounded_and_never_to_a_false_zero():
    assert fixed(-0.1234) == "−0.123"
    assert fixed(-0.0001) == "0.000"
    assert [percent(value) for value in (0.0, 0.004, 0.005, 0.434, 1.0)] == [
        "0%",
        "under 1%",
        "under 1%",
        "43%",
        "100%",
    ]
    assert counted(1, "trial") == "1 trial"
    assert counted(12345, "spike") == "12,345 spikes"
    assert [joined(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert scored(Estimate(0.5, (0.4, 0.61)), " bits") == "0.500 bits (0.400 to 0.610)"
    assert scored(Estimate(0.5)) == "0.500"
    assert measured(Estimate(12.34, (9.999, 1234.0)), "ms", 1000.0) == "12.3 ms (10 to over 1,000)"


def test_an_estimate_of_draws_has_an_interval_only_where_they_differ():
    draws = np.arange(101.0)
    assert Estimate.of_draws(draws) == Estimate(50.0, (5.0, 95.0))
    assert Estimate.of_draws(draws, 7.0) == Estimate(7.0, (5.0, 95.0))
    assert Estimate.of_draws(np.full(4, 2.0)) == Estimate(2.0)
    assert Estimate.of(1.0, [0.5, 2.0]) == Estimate(1.0, (0.5, 2.0))
    assert Estimate.of(1.0, None).low == Estimate.of(1.0, None).high == 1.0


def test_the_recording_is_counted():
    splits = {"train": 3, "val": 1}
    assert sentences.recording("a.nwb", splits, (20, 20), 5.0, 9, 2, 1234) == (
        "a.nwb has 4 trials (3 train and 1 val) of 20 bins of 5 ms, in which 9 neurons fired 1,234 spikes. "
        "2 of the neurons are held out."
    )
    text = sentences.recording("a.nwb", {"train": 1}, (12, 20), 5.0, 1, 0, 1)
    assert text == "a.nwb has 1 trial (1 train) of 12 to 20 bins of 5 ms, in which 1 neuron fired 1 spike."
    assert "1 of the neurons is held out." in sentences.recording("a", splits, (1, 1), 5.0, 9, 1, 0)


def test_the_model_is_one_sentence():
    parts = ["6 latents with linear dynamics", "1 latent constant in each trial"]
    assert sentences.model("mine", parts, ["the effect History"], "log rate", "Poisson") == (
        "mine has 6 latents with linear dynamics and 1 latent constant in each trial; the log rate of each neuron is a "
        "weighted sum of these plus the effect History, and its counts are Poisson given that."
    )
    short = sentences.model("mine", parts[:1], [], "predictor", "")
    assert short.endswith("the predictor of each neuron is a weighted sum of these.")


def test_a_committee_names_its_members():
    text = sentences.committee(["lds", "gp"], 1)
    assert text.endswith("2 models, each fitted by itself: lds and gp. 1 of 2 fits have converged.")


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (Estimate(0.2, (0.1, 0.3)), "at 0.200 bits per spike (0.100 to 0.300), better than their mean rates"),
        (Estimate(0.2), "at 0.200 bits per spike, not shown to be better than their mean rates"),
        (Estimate(0.2, (-0.1, 0.3)), "not shown to be better than their mean rates"),
        (Estimate(0.2, (0.0, 0.3)), "not shown to be better than their mean rates"),
        (Estimate(0.0, (-0.1, 0.1)), "no better than their mean rates"),
        (Estimate(-0.2, (-0.3, -0.1)), "at −0.200 bits per spike (−0.300 to −0.100), no better than their mean rates"),
    ],
)
def test_a_prediction_is_better_than_mean_rates_only_above_zero(score, words):
    text = sentences.prediction(score, 3, 6, 4, "val")
    assert text.startswith("From 6 neurons the model predicts the 3 held-out neurons in 4 val trials at ")
    assert words in text


HIGH, LOW, WIDE = Estimate(0.3, (0.28, 0.32)), Estimate(0.2, (0.18, 0.22)), Estimate(0.25, (0.1, 0.4))


@pytest.mark.parametrize(
    ("score", "other", "difference", "verdict"),
    [
        (HIGH, LOW, None, Verdict.BETTER),
        (LOW, HIGH, None, Verdict.WORSE),
        (HIGH, WIDE, None, Verdict.OPEN),
        (WIDE, HIGH, None, Verdict.OPEN),
        (HIGH, Estimate(0.2), None, Verdict.UNKNOWN),
        (HIGH, WIDE, Estimate(0.05, (0.01, 0.09)), Verdict.BETTER),
        (HIGH, LOW, Estimate(0.1, (-0.01, 0.2)), Verdict.OPEN),
        (HIGH, WIDE, Estimate(-0.05, (-0.09, -0.01)), Verdict.WORSE),
        (HIGH, LOW, Estimate(0.1), Verdict.BETTER),
    ],
)
def test_scores_are_told_apart_by_the_interval_of_their_difference_else_by_their_own(score, other, difference, verdict):
    assert compared(score, other, difference) is verdict


def test_a_model_that_does_not_beat_a_baseline_is_said_not_to():
    baselines = [
        Baseline("smoothing", LOW, Estimate(0.1, (0.05, 0.15))),
        Baseline("PSTH", HIGH, Estimate(0.0, (-0.1, 0.1))),
        Baseline("other", WIDE, Estimate(-0.1, (-0.2, -0.05))),
        Baseline("last", Estimate(0.1)),
    ]
    assert comparison(HIGH, baselines) == (
        "This beats smoothing (0.200; difference 0.100, 0.050 to 0.150). "
        "This is not shown to beat PSTH (0.300; difference 0.000, −0.100 to 0.100): the intervals do not tell them "
        "apart. "
        "This does not beat other (0.250; difference −0.100, −0.200 to −0.050): it is worse. "
        "Whether this beats last (0.100) is not known, for lack of intervals."
    )
    assert comparison(HIGH, [Baseline("a", LOW), Baseline("b", LOW)]) == "This beats a (0.200) and b (0.200)."


def made(number=1, turns=True, hz=(2.0, 1.5, 2.5), ms=(300.0, 250.0, 350.0), variance=0.5):
    """A mode whose cycles have the ends of both intervals."""
    cycles = [a * b / 1000 for a, b in zip(hz, ms, strict=True)]
    estimates = [Estimate(value, (low, high)) for value, low, high in (hz, ms, cycles)]
    return Mode(number, turns, *estimates, variance)


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (
            made(),
            "Mode 1 (50% of the squared loadings) turns at 2 Hz (1.5 to 2.5) and fades to 37% in 300 ms (250 to 350).",
        ),
        (
            made(hz=(0.08, 0.06, 0.1)),
            "turns at 0.08 Hz (0.06 to 0.1), once in 12.5 s, and fades to 37% in 300 ms (250 to 350), before a quarter",
        ),
        (made(hz=(2.0, 0.0, 2.5)), "it is not shown to turn: the interval of its frequency, 0 to 2.5 Hz, includes 0."),
        (made(turns=False, hz=(0.0, 0.0, 0.5)), "fades to 37% in 300 ms (250 to 350) without turning."),
        (made(turns=False, hz=(25.0, 25.0, 25.0)), "fades to 37% in 300 ms (250 to 350) and changes its sign"),
        (made(ms=(80.0, 60.0, 100.0)), "fades to 37% in 80 ms (60 to 100), before a quarter of a turn."),
        (made(ms=(900.0, 400.0, 1e6)), "fades to 37% in 900 ms (400 to over 70,000)."),
        (
            made(ms=(900.0, 701.0, 1e6)),
            "outlasts the longest trial (700 ms), so that trials show only that it fades slowly.",
        ),
    ],
)
def test_a_mode_turns_only_where_the_interval_of_its_frequency_excludes_zero(mode, words):
    text = sentences.mode(mode, 700.0)
    assert words in text
    assert ("turns at" in text) == (mode.turns and mode.frequency.low > 0)


def test_modes_with_the_most_variance_are_described_in_the_order_of_their_numbers():
    found = [made(number, variance=part) for number, part in enumerate((0.1, 0.2, 0.5, 0.3), 1)]
    text = sentences.modes(found, 700.0, "log rate")
    assert text.startswith("Of 4 modes, modes 2, 3 and 4 move the log rates most. Mode 2 ")
    assert "Mode 1" not in text
    assert sentences.modes(found[:2], 700.0, "log rate").startswith("Mode 1 ")


@pytest.mark.parametrize(
    ("mode", "shown"),
    [
        (made(hz=(4.0, 3.5, 4.5), ms=(400.0, 300.0, 500.0)), True),
        (made(hz=(4.0, 3.5, 4.5), ms=(400.0, 280.0, 500.0)), False),  # perhaps not a full turn
        (made(hz=(4.0, 0.0, 4.5), ms=(400.0, 300.0, 500.0)), False),  # perhaps 0 Hz
        (made(turns=False, hz=(25.0, 25.0, 25.0), ms=(400.0, 300.0, 500.0)), False),
        (made(hz=(1.2, 1.1, 1.3), ms=(9000.0, 8000.0, 9900.0)), False),  # no trial is so long
    ],
)
def test_a_rhythm_is_a_full_turn_in_a_trial_before_the_mode_fades(mode, shown):
    text = sentences.rhythm([mode], 700.0)
    if shown:
        assert text == "Mode 1 (4 Hz) makes at least one full turn in a trial before fading to 37%: a rhythm."
    else:
        assert text.endswith("no rhythm is shown.")


def test_several_rhythms_are_listed():
    rhythm = {"hz": (4.0, 3.5, 4.5), "ms": (400.0, 300.0, 500.0)}
    text = sentences.rhythm([made(1, **rhythm), made(2), made(3, **rhythm)], 700.0)
    assert text.startswith("Mode 1 (4 Hz) and mode 3 (4 Hz) make at least")


@pytest.mark.parametrize(
    ("certainty", "words"),
    [
        (0.95, "M1 loads most; "),
        (0.94, "No area is shown to load most (M1 does in 94% of the draws); "),
        (None, "M1 loads most, as far as a point estimate shows; "),
    ],
)
def test_an_area_loads_most_only_where_the_draws_agree(certainty, words):
    strengths = {"S1": 0.2, "M1": 0.5, "V1": 0.1, "A1": 0.15}
    numbers = "root mean square loadings on slow: M1 0.50, S1 0.20, A1 0.15, 1 other area less."
    assert sentences.areas("slow", strengths, certainty) == words + numbers


def test_regimes_are_counted_with_their_stays():
    some, none = Estimate(100.0), Estimate(0.0)
    found = [
        sentences.Regime(Estimate(0.25), Estimate(80.0), some, none),
        sentences.Regime(Estimate(0.75), Estimate(240.0, (200.0, 280.0)), some, none),
        sentences.Regime(none, Estimate(1e12), some, none),
    ]
    assert sentences.regimes("slds", found, 12, 1000.0, 0.96) == (
        "In 12 trials, regime 2 of slds holds in 75% of the bins, for 240 ms (200 to 280) at a time; regime 1 holds in "
        "25% of the bins, for 80 ms at a time. Regime 3 hardly ever holds. Of the regimes the most probable one of a "
        "bin has a probability of 96% on average."
    )
    forever = sentences.regimes("slds", [sentences.Regime(Estimate(1.0), Estimate(1e12), some, none)], 1, 1000.0, 0.5)
    assert forever.startswith("In 1 trial, regime 1 of slds holds in 100% of the bins and is not seen to end. Which ")
    assert forever.endswith("not known: the most probable one of a bin has a probability of 50% on average.")


def test_few_timescales_are_listed_and_many_spanned():
    values = [Estimate(400.0, (300.0, 500.0)), Estimate(20.0, (15.0, 25.0)), Estimate(90.0), Estimate(80.0)]
    assert sentences.timescales("gp", "lengthscale", "ms", values[:1]) == (
        "The lengthscale of gp: 400 ms (300 to 500)."
    )
    assert sentences.timescales("gp", "lengthscale", "ms", values[:2]) == (
        "The lengthscales of gp: 20 ms (15 to 25) and 400 ms (300 to 500)."
    )
    assert sentences.timescales("gp", "lengthscale", "ms", values) == (
        "The 4 lengthscales of gp reach from 20 ms (15 to 25) to 400 ms (300 to 500)."
    )


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (Estimate(0.9, (0.8, 0.95)), "hand_vel is decoded linearly from the rates, R² 0.900 (0.800 to 0.950)."),
        (Estimate(0.1, (-0.1, 0.3)), "hand_vel is not shown to be decoded from the rates: R² is 0.100"),
        (Estimate(-0.1, (-0.2, 0.1)), "hand_vel is not decoded from the rates: R² is −0.100"),
    ],
)
def test_behavior_is_decoded_only_above_zero(score, words):
    assert words in sentences.decoding("hand_vel", "R²", score)


def test_convergence_says_what_still_moves():
    good, bad = (True, "EM converged."), (False, "The SVI bound still rose.")
    assert sentences.convergence([good], [], True) == "The fit has converged. EM converged."
    assert sentences.convergence([good, bad], ["2 latents are pruned."], True) == (
        "The fit has not converged. The SVI bound still rose. 2 latents are pruned."
    )
    assert sentences.convergence([], [], False) == (
        "No step was taken. The parameters are point estimates, without intervals."
    )


def test_what_was_not_replicated_was_not_tested():
    assert sentences.replication(0, {}) == (
        "Whether other starts, or halves of the trials, give the same result was not tested; "
        "nlbprob replicate tests it."
    )
    assert sentences.replication(5, {"mode 1": (5, 5), "mode 2": (3, 5), "mode 3": (5, 5)}) == (
        "5 other fits from other starts or to halves of the trials found mode 1 and mode 3 again. "
        "Not replicated: mode 2 (in 3 of 5)."
    )
    assert "found no mode or timescale again every time. Not replicated: mode 1 (in 0 of 5)" in (
        sentences.replication(5, {"mode 1": (0, 5)})
    )
    assert sentences.replication(1, {}) == (
        "1 other fit from other starts or to halves of the trials had no modes or timescales to compare."
    )


def test_a_score_is_divided_among_blocks_and_latents():
    latents = {"a 1": Estimate(0.02), "b 1": Estimate(0.1, (0.05, 0.15))}
    latents |= {"b 2": Estimate(-0.001), "b 3": Estimate(0.03)}
    parts = {"a": Estimate(0.02), "b": Estimate(0.129, (0.08, 0.17))}
    assert sentences.shares(0.14, parts, latents, 0.009) == (
        "The score of 0.140 bits per spike is the sum of the shares of a, 0.020; of b, 0.129 (0.080 to 0.170), and of "
        "−0.009 for mean rates that are predicted wrongly. By latent: b 1, 0.100 (0.050 to 0.150); b 3, 0.030; a 1, "
        "0.020; the other 1 together, −0.001."
    )
    assert sentences.shares(0.1, {"a": Estimate(0.1)}, {"a 1": Estimate(0.1)}, 0.0001) == (
        "The score of 0.100 bits per spike is the sum of the shares of a, 0.100."
    )
    many = {f"a {number}": Estimate(0.01) for number in range(5)}
    assert sentences.shares(0.05, {"a": Estimate(0.05)}, many, 0.0).endswith("; the other 2 together, 0.020.")
    assert sentences.shares(0.05, {"x": Estimate(0.04), "y": Estimate(0.01)}, {}, 0.0) == (
        "The score of 0.050 bits per spike is the sum of the shares of x, 0.040; of y, 0.010."
    )


def test_averages_are_said_with_their_interval():
    assert sentences.averages(Estimate(0.7, (0.6, 0.8))) == (
        "Averages by condition of all neurons, held-in ones among them, are predicted at psth R² 0.700 (0.600 to "
        "0.800)."
    )
