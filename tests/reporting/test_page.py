"""What the report says, and that it adapts to the recording and the model."""

import base64
import dataclasses
import hashlib
import html
import html.parser
import re
import signal

import matplotlib as mpl
import numpy as np
import pytest
import xarray
from matplotlib.backends.backend_svg import FigureCanvasSVG

from nlbprob.blocks.slds import SwitchingLDS
from nlbprob.errors import InputError
from nlbprob.model import Model
from nlbprob.plot.style import THEME
from nlbprob.reporting import regimes
from nlbprob.reporting.page import write_report
from nlbprob.reporting.view import View

TITLES = [
    "Scores",
    "Fit",
    "Single trials",
    "Averages by condition",
    "Latent trajectories",
    "Dynamics",
    "Loadings",
    "Shares of the score",
    "Decoded behavior",
    "Held-out neurons",
    "To repeat it",
]


class Checked(html.parser.HTMLParser):
    """Reads a page, insisting on balanced tags; keeps ids, links and the text of each section's heading."""

    VOID = {"meta", "link", "br", "wbr", "path", "use", "image"}

    def __init__(self, page: str):
        super().__init__()
        self.open, self.ids, self.links, self.headings, self.tags = [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.see(tag, attributes)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.see(tag, attributes)

    def see(self, tag, attributes):
        self.tags.append(tag)
        for name, value in attributes:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "aria-labelledby", "clip-path"):
                self.links.append((tag, name, value))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def words_of(page: str) -> str:
    """The text of a page without its tags, with plain minus signs."""
    body = re.sub(r"<(svg|style|script).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).replace("−", "-").split())


def test_the_page_is_well_formed_and_points_nowhere_outside(page):
    checked = Checked(page)
    assert checked.headings == TITLES
    assert len(set(checked.ids)) == len(checked.ids)
    for tag, name, value in checked.links:
        inside = value.removeprefix("#") if name == "href" else value.removeprefix("url(#").removesuffix(")")
        assert value.startswith("data:") or inside in checked.ids, (tag, name, value)
    assert {"iframe", "object", "form"}.isdisjoint(checked.tags)
    assert page.count('role="img"') == checked.tags.count("figure") > 20
    assert checked.tags.count("svg") - checked.tags.count("figure") == page.count('class="swatch"') > 10
    assert "http" + "://" not in page
    assert "https" not in page
    assert len(page) < 3e6


def test_its_own_script_is_the_only_one_that_may_run(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert page.count("<script") == 1
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sources = dict(one.split(" ", 1) for one in html.unescape(policy).split("; "))
    assert sources["script-src"] == f"'sha256-{allowed}'"
    assert sources["default-src"] == "'none'"
    assert page.index("Content-Security-Policy") < page.index("<style")
    assert not re.search(r"<[^>]* on\w+=", page)


@pytest.mark.parametrize("drawing", [1, 7])
def test_ctrl_c_inside_a_drawing_is_ctrl_c_and_leaves_no_page(case, tmp_path, monkeypatch, drawing):
    drawn = []

    def print_svg(canvas, *arguments, **options):
        drawn.append(canvas)
        if len(drawn) == drawing:
            signal.raise_signal(signal.SIGINT)
        return draw(canvas, *arguments, **options)

    draw = FigureCanvasSVG.print_svg
    monkeypatch.setattr(FigureCanvasSVG, "print_svg", print_svg)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            case.write(tmp_path / "report.html")
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(drawn) == drawing
    assert list(tmp_path.iterdir()) == []


def test_drawings_follow_the_theme(page):
    drawings = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    for color, name in THEME.items():
        assert color not in drawings
        assert f"--{name}:" in page
    assert {"ink", "muted", "model", "heldout", "c0"} <= set(re.findall(r"var\(--(\w+)\)", drawings))
    for variable in set(re.findall(r"var\((--\w+)\)", page)):
        assert f"{variable}:" in page


def test_scores_are_those_handed_in(case, page):
    text = words_of(page)
    metrics = case.metrics
    rows = {"this model": (metrics["val"], metrics["intervals"])}
    rows |= {name: (values, metrics["baseline_intervals"][name]) for name, values in metrics["baselines"].items()}
    for name, (values, intervals) in rows.items():
        expected = name
        for score in ("co-bps", "vel R2", "psth R2"):
            expected += f" {values[score]:z.3f}"
            if intervals[score] is not None:  # of four trials some scores have none
                expected += " [{:z.3f}, {:z.3f}]".format(*intervals[score])
        assert expected in text
    assert "Not scored: fp-bps: there is no forward window." in text
    assert "4 val trials, in bins of 20 ms; fitted on train" in text
    chosen = "Gaussian of 40 ms (standard deviation), weight of the average over conditions 8 (in trials)"
    assert f"Chosen inside train: condition PSTH: {chosen}." in text


def test_a_test_is_shown_with_what_has_to_be_known_of_it(case, tmp_path):
    record = {"scores": {"co-bps": 0.2345, "vel R2": None}, "statement": "This is test evaluation 3 of a <set>."}
    record |= {"date": "2026-10-01T12:00:00+00:00", "fit_on": "train+val", "bin_ms": 5.0}
    page = case.replace(tested=record).write(tmp_path / "report.html")
    Checked(page)
    assert (
        "On test (fitted on train+val, in bins of 5 ms, on 2026-10-01): co-bps 0.234. "
        "This is test evaluation 3 of a <set>."
    ) in words_of(page)


def test_it_says_what_was_fitted_to_what(page):
    text = words_of(page)
    for part in (
        "my_lds fitted to trials in memory",
        "trials in memory has 12 trials (8 train and 4 val) of 20 bins of 20 ms, in which 9 neurons fired",
        "my_lds has 3 latents with linear dynamics; the log rate of each neuron is a weighted sum of these",
        "From 6 neurons the model predicts the 3 held-out neurons in 4 val trials at",
        "wheel is decoded linearly from the rates, R²",
        "was not tested; nlbprob replicate tests it.",
        "8 train, 4 val trials; 9 neurons, 3 held out; 3 conditions (turn); behavior wheel",
        "20 bins of 20 ms, 0 to 400 ms",
        "latents: LDS (dim 3)",
        "x t = A x t-1 + N(0, Q )",
        "observation: Poisson",
        "6 EM iterations, 12 stochastic steps in 18 s on train",
        "Seed 7",
        "2025-01-02 03:04:05",
        "nlbprob 0.0.1, jax 0.12",
    ):
        assert part in text


def test_modes_are_those_of_the_posterior(case, page):
    found, text = case.posterior.dynamics(), words_of(page)
    for mode in range(found.sizes["mode"]):
        decay = float(found["mean_decay_ms"][mode])
        low, high = np.quantile(found["decay_ms"].values[:, mode], [0.05, 0.95])
        shown = [f"{value:.0f}" if value >= 100 else f"{value:.3g}" for value in (decay, low, high)]
        assert f"{shown[0]} [{shown[1]}, {shown[2]}]" in text


def test_one_fit_gives_one_page_and_no_setting_changes(case, page, tmp_path):
    before = dict(mpl.rcParams)
    assert case.write(tmp_path / "again.html") == page
    assert dict(mpl.rcParams) == before


def test_what_is_not_handed_in_is_inferred(case, page, tmp_path):
    path = tmp_path / "report.html"
    given = {"posterior": case.posterior, "trials": case.trials, "metrics": case.metrics, "config": case.config}
    assert write_report(path, **given) == path
    images = re.compile(r"data:image/png[^\"]*|(?<=d=\")[^\"]*")
    assert len(images.findall(path.read_text())) == len(images.findall(page))


def test_rates_that_do_not_fit_are_refused(case, tmp_path):
    with pytest.raises(InputError, match="shape"):
        case.replace(rates=np.ones((2, 3, 4))).write(tmp_path / "report.html")


def test_without_conditions_and_behavior_it_says_so(case, tmp_path):
    trials = case.trials.replace(condition=(), behavior=None)
    page = case.replace(trials=trials).write(tmp_path / "report.html")
    headings = Checked(page).headings
    assert "Averages over trials" in headings
    assert "Decoded behavior" not in headings
    assert "Decoded behavior: no behavior was named." in words_of(page)
    assert "all trials are averaged" in page


def test_one_latent_and_no_held_out_neurons(single, tmp_path):
    page = single.write(tmp_path / "report.html")
    assert Checked(page).headings == [
        "Scores",
        "Fit",
        "Single trials",
        "Latent trajectories",
        "Dynamics",
        "Loadings",
        "Not shown",
        "To repeat it",
    ]
    text = words_of(page)
    assert "State space" not in page
    assert "my_lds has 1 latent with linear dynamics" in text
    assert "of 20 bins of 20 ms, in which 9 neurons fired" in text
    assert "Prediction" not in text
    assert "No score applies. Not scored: co-bps: " in text
    assert "Held-out neurons: no neuron is held out." in text


def test_trials_of_unequal_length_and_unrecorded_behavior(case, tmp_path):
    lengths = np.array([20, 12, 15] * 4)
    inside = np.arange(20) < lengths[:, None]
    behavior = np.where(inside[..., None], case.trials.behavior, np.nan)
    behavior[9] = np.nan
    trials = case.trials.replace(
        counts=case.trials.counts * inside[..., None],
        seen=np.broadcast_to(inside[..., None], case.trials.counts.shape),
        behavior=behavior,
    )
    page = case.replace(trials=trials).write(tmp_path / "report.html")
    assert Checked(page).headings == TITLES
    assert "trials of 12 to 20 bins" in page
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", page).lower())


def test_areas_forward_bins_and_more_conditions_than_colors(case, tmp_path):
    neurons = case.trials.neurons | {"area": np.array(["M1", "PMd & S1", "V1"] * 3)}
    table = case.trials.table | {"turn": np.arange(12)}
    trials = case.trials.replace(neurons=neurons, table=table, forward_bins=5)
    page = case.replace(trials=trials).write(tmp_path / "report.html")
    text = words_of(page)
    assert Checked(page).headings == TITLES
    assert "Shown are the 9 of 12 conditions with the most trials." in text
    assert "by area" in text
    assert "in PMd & S1" in text or "in V1" in text
    assert "15 bins of 20 ms" in text
    assert "then 5 bins to forecast" in text


def test_point_estimates_have_no_intervals(case, tmp_path, monkeypatch):
    one = {name: value[:1] for name, value in case.posterior.parameter_draws().items()}
    monkeypatch.setattr(type(case.posterior), "parameter_draws", lambda *_: one)
    page = case.write(tmp_path / "report.html")
    assert "Brackets and crosses" not in page
    assert "Bars in the other plots" not in page


def test_a_model_without_modes_has_a_page(case, tmp_path, monkeypatch):
    def dynamics(*_):
        raise InputError("A Gaussian process has no transition matrix.")

    monkeypatch.setattr(type(case.posterior), "dynamics", dynamics)
    page = case.write(tmp_path / "report.html")
    assert "Dynamics" not in Checked(page).headings
    assert "Dynamics: A Gaussian process has no transition matrix." in words_of(page)


def test_regimes_are_shown_where_dynamics_switch(case, monkeypatch):
    first = np.random.default_rng(0).uniform(size=(12, 20))
    found = xarray.Dataset({"slds": (("trial", "time", "slds_regime"), np.stack([first, 1 - first], -1))})
    monkeypatch.setattr(type(case.posterior), "regimes", lambda _, trials: found.isel(trial=trials.table["id"]))
    counted = xarray.Dataset(
        {
            "occupancy": (("sample", "regime"), [[0.25, 0.75]] * 4),
            "dwell_ms": (("sample", "regime"), [[80.0, 240.0]] * 4),
            "decay_ms": (("sample", "regime", "mode"), [[[100.0], [200.0]]] * 4),
            "frequency_hz": (("sample", "regime", "mode"), [[[1.0], [2.0]]] * 4),
        }
    )
    monkeypatch.setattr(type(case.posterior), "switching", lambda *_, **__: counted)
    posterior = dataclasses.replace(case.posterior, model=Model(latents=[SwitchingLDS(2, dim=3)]))
    section = regimes.section(View(posterior, case.trials, case.rates, case.metrics, case.config))
    assert section.title == "Regimes"
    assert "(12 of them)" in section.reading
    assert [key.label for key in section.key] == ["regime 1", "regime 2"]
    one, other = (str(key.drawing).replace("--c1", "--c0") for key in section.key)
    assert one.count("<path") == other.count("<path") == 3
    assert one != other  # by hatch and dashes
    (panel,) = section.panels
    assert panel.heading == "regimes of slds"
    probability = f"{np.maximum(first, 1 - first).mean():.0%} on average."
    assert panel.seen.startswith("Regime 2 holds in 75% of the bins; the most probable regime of a bin has a probab")
    assert panel.seen.endswith(probability)
    (table,) = section.tables
    assert [[cell.text for cell in row.cells] for row in table.rows][1] == ["75.0", "240", "200", "2"]
    np.testing.assert_allclose(panel.figure.axes[1].lines[0].get_ydata(), first.mean(0))
    assert regimes.section(View(case.posterior, case.trials, case.rates, case.metrics, case.config)) is None


def test_names_are_text_and_not_markup(case, tmp_path):
    table = case.trials.table | {"turn": np.array(["<b>left</b>", "right & $x$", "up"] * 4)}
    trials = case.trials.replace(table=table, behavior_channels=("<i>x", "$y_"))
    page = case.replace(trials=trials).write(tmp_path / "<fit>.html")
    Checked(page)
    assert "<b>left" not in page
    assert "<i>x" not in page.partition('id="to-repeat-it"')[0]  # where formulas are
    assert "turn right & $x$" in words_of(page)


def test_notes_of_the_recording_and_of_scores_are_shown_as_text(case, tmp_path):
    notes = ["units <b>3</b> & 4 fire at 0.01 Hz on average"]
    behavior = np.where(np.arange(2) == 1, 0.3, case.trials.behavior)
    trials = case.trials.replace(source=case.trials.source | {"notes": notes}, behavior=behavior)
    metrics = case.metrics | {"notes": {"vel R2": "without <u>y</u>, which does not change in the scored trials"}}
    page = case.replace(trials=trials, metrics=metrics).write(tmp_path / "report.html")
    text = words_of(page)
    assert "units &lt;b&gt;3&lt;/b&gt; &amp; 4 fire" in page
    assert "<u>y</u>" not in page
    assert "Note: vel R2: without " in text
    assert "Left out: y does not change in the scored trials." in text
