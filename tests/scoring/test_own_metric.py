"""A metric of one's own, from outside the package: scored with an interval, printed, and shown in the report."""

import dataclasses
import html

import numpy as np
import pytest

import nlbprob as nlb
from nlbprob.commands.table import print_scores
from nlbprob.errors import InputError
from nlbprob.reporting.page import write_report
from nlbprob.scoring.evaluate import evaluate
from tests.scoring.files import draw


@dataclasses.dataclass(frozen=True, eq=False)
class CountCorrelation(nlb.Statistic):
    """Pearson's r over trials of a neuron's predicted and recorded count, averaged over held-out neurons."""

    predicted: np.ndarray
    recorded: np.ndarray

    @staticmethod
    def of(scored: nlb.ScoredRates) -> "CountCorrelation":
        if not scored.heldout.any():
            raise nlb.DoesNotApply("no neuron is held out")
        known = ~np.isnan(scored.counts)
        sums = [np.where(known, part, 0).sum(axis=1)[:, scored.heldout] for part in (scored.rates, scored.counts)]
        return CountCorrelation(*sums)

    @property
    def value(self) -> float:
        return float(self.draws(np.ones((1, len(self.predicted))))[0])

    def draws(self, weights):
        shares = weights / weights.sum(axis=1, keepdims=True)
        x, y = (part - part.mean(axis=0) for part in (self.predicted, self.recorded))
        mean_x, mean_y = shares @ x, shares @ y
        spread = (shares @ x**2 - mean_x**2) * (shares @ y**2 - mean_y**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            return ((shares @ (x * y) - mean_x * mean_y) / np.sqrt(spread)).mean(axis=1)


CORRELATION = nlb.Metric("count r", "", "how well a neuron's count in a trial is predicted", CountCorrelation.of)


def loss(scored: nlb.ScoredRates) -> nlb.RatioOfSums:
    known = ~np.isnan(scored.counts)
    terms = np.where(known, scored.rates - np.where(known, scored.counts, 0) * np.log(scored.rates), 0)
    return nlb.RatioOfSums(terms.sum(axis=(1, 2)), known.sum(axis=(1, 2)).astype(float))


LOSS = nlb.Metric("loss", "nats/bin", "Poisson loss <without ln k!>; here lower is better", loss)


def test_it_is_scored_with_an_interval_beside_the_benchmarks(make_trials):
    trials, rates = make_trials(n_trials=60)
    scores = nlb.score(rates, trials, metrics=[CORRELATION, "co-bps", LOSS])
    assert list(scores.values) == ["count r", "co-bps", "loss"]
    assert scores.values["co-bps"] == nlb.score(rates, trials).values["co-bps"]
    val = trials.table["split"] == "val"
    expected = [
        np.corrcoef(rates[val][..., n].sum(axis=1), trials.counts[val][..., n].sum(axis=1))[0, 1]
        for n in np.flatnonzero(trials.heldout)
    ]
    assert scores.values["count r"] == pytest.approx(np.mean(expected))
    assert scores.values["loss"] == pytest.approx((rates - trials.counts * np.log(rates))[val].mean())
    for name, (low, high) in scores.intervals.items():
        assert low < scores.values[name] < high
    assert str(scores).splitlines()[2].split()[:2] == ["loss", f"{scores.values['loss']:.4f}"]
    assert "nats/bin" in scores.line("loss")


def test_the_table_and_the_report_show_its_name_unit_and_meaning(recording, fitted, tmp_path, capsys):
    rates = fitted.rates(recording.hide_heldout("val"))
    scores = nlb.score(rates, recording, bootstrap=20, metrics=[LOSS, CORRELATION]).to_dict()
    metrics = {"val": scores.pop("values"), "baselines": {}, "fit_on": "train"} | scores
    print_scores(metrics, "a run")
    low, high = metrics["intervals"]["loss"]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("loss")]
    assert line.split() == ["loss", f"{metrics['val']['loss']:.3f}", f"{low:.3f}", "to", f"{high:.3f}"]
    page = write_report(tmp_path / "report.html", posterior=fitted, trials=recording, metrics=metrics, rates=rates)
    words = page.read_text(encoding="utf-8")
    assert html.escape("loss: Poisson loss <without ln k!>; here lower is better") in words
    assert "loss (nats/bin)" in words
    assert f"[{low:.3f}, {high:.3f}]".replace("-", "−") in words


def conditions(scored):
    """Share of the scored trials that are of condition 0, of the trials themselves."""
    first = scored.trials.table["condition"] == 0
    return nlb.RatioOfSums(first.astype(float), np.ones(len(first)))


CONDITIONS = nlb.Metric("first", "", "", conditions)


def test_what_it_reads_and_is_not_there_is_the_reason_that_it_has_no_score(make_trials):
    trials, rates = make_trials()
    ahead = nlb.Metric("mean forecast", "spikes/bin", "", lambda scored: loss_of(scored.forecast))
    scores = nlb.score(rates, trials, metrics=[ahead])
    assert scores.values == {"mean forecast": None}
    assert scores.reasons == {"mean forecast": "there is no forward window"}
    assert nlb.score(rates, trials.replace(forward_bins=3), metrics=[ahead]).values["mean forecast"] > 0
    val = trials.table["split"] == "val"
    assert (
        nlb.score(rates, trials, metrics=[CONDITIONS]).values["first"] == (trials.table["condition"][val] == 0).mean()
    )


def loss_of(forecast):
    return nlb.RatioOfSums(forecast.rates.sum(axis=(1, 2)), np.full(len(forecast.rates), forecast.rates[0].size * 1.0))


def test_the_benchmarks_evaluation_takes_it_too():
    rates, _, targets = draw("mc_rtt_20", trials=(24, 20), seed=3)
    both = {"mc_rtt_20": rates}, {"mc_rtt_20": targets}
    found = evaluate(*both, metrics=["co-bps", LOSS, "psth R2", CONDITIONS], bootstrap=50)
    (scores,) = found.groups
    heldout = rates["eval_rates_heldout"].astype(float)
    expected = (heldout - targets["eval_spikes_heldout"] * np.log(heldout)).mean()
    assert scores.values["loss"] == pytest.approx(expected)
    assert list(scores.values) == ["co-bps", "loss"]
    assert found.notes == [
        "mc_rtt_20: no psth R2: the data set has no conditions.",
        "mc_rtt_20: no first: the benchmark's target files hold no trials.",
    ]
    assert scores.values["co-bps"] == evaluate(*both).groups[0].values["co-bps"]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["co-bsp"], "score: there is no metric 'co-bsp'. Did you mean 'co-bps'"),
        ([], "names none"),
        ([LOSS, LOSS], "two metrics are named 'loss'"),
    ],
)
def test_what_is_no_metric_is_refused(make_trials, metrics, message):
    trials, rates = make_trials()
    with pytest.raises(InputError, match=message):
        nlb.score(rates, trials, metrics=metrics)
