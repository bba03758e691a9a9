"""What a notebook shows of an object: small tables whose text is escaped, and which load nothing."""

import dataclasses
import html.parser

import numpy as np

import nlbprob as nlb
from nlbprob import display
from nlbprob.blocks.formula import model_table

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "b", "i", "sub", "sup"}


class Tables(html.parser.HTMLParser):
    """The captions and the rows of cells of the tables in some HTML, as text; other tags and attributes are refused."""

    def __init__(self, text: str):
        super().__init__()
        self.captions: list[str] = []
        self.rows: list[list[str]] = []
        self.into: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert tag in TAGS
        assert {name for name, _ in attributes} <= {"style", "scope"}
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td", "caption"):
            self.into = self.captions if tag == "caption" else self.rows[-1]
            self.into.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.into[-1] += data

    @property
    def by_name(self) -> dict[str, list[str]]:
        return {first: others for first, *others in self.rows}


def shown(thing) -> Tables:
    return Tables(thing._repr_html_())


def test_text_is_escaped_and_html_is_not():
    text = display.table("a < b", [("<i>x</i>", display.Html("<b>y</b>"))], ("", "R & D"))
    tables = Tables(text)
    assert tables.captions == ["a < b"]
    assert tables.rows == [["", "R & D"], ["<i>x</i>", "y"]]
    assert "<b>y</b>" in text
    assert "<i>" not in text


def test_trials(recording):
    source = {"notes": ["a note <script>"]}
    trials = recording.replace(behavior_name="<b>hand</b>", source=source, inputs={"go": np.zeros((30, 20, 1))})
    tables = shown(trials)
    assert tables.captions == ["30 trials"]
    assert tables.by_name == {
        "trials": [", ".join(f"{count} {name}" for name, count in trials.splits.items())],
        "bins": ["20 of 20 ms, 0 to 400 ms, of which 2 forward"],
        "neurons": ["10, 2 held out"],
        "spikes seen": [str(int((trials.counts * trials.seen).sum()))],
        "columns of trials": ["id, split, side"],
        "columns of neurons": ["id, heldout"],
        "condition": ["side: 2"],
        "behavior": ["<b>hand</b> (x, y)"],
        "inputs": ["go"],
        "notes": ["a note <script>"],
    }


def test_scores():
    names = ("co-bps", "vel R2", "loss")
    scores = nlb.Scores(
        values={"co-bps": 0.25, "vel R2": None, "loss": 1.5},
        intervals={"co-bps": (0.125, 0.375), "vel R2": None, "loss": None},
        by_neuron=np.zeros(0),
        neuron_ids=np.zeros(0),
        bin_ms=5.0,
        split="val",
        reasons={"vel R2": "no <behavior>"},
        notes={"loss": "without <y>"},
        units={"co-bps": "bits/spike"},
    )
    tables = shown(scores)
    assert tables.captions == ["Scores on val, bins of 5 ms"]
    assert tables.rows == [
        ["", "value", "90% interval", "unit", "note"],
        ["co-bps", "0.2500", "[0.1250, 0.3750]", "bits/spike", ""],
        ["vel R2", "-", "", "", "no <behavior>"],
        ["loss", "1.5000", "", "", "without <y>"],
    ]
    assert [row[0] for row in tables.rows[1:]] == list(names)


def test_a_model_is_its_blocks_with_their_formulas():
    tables = shown(nlb.Model(latents=[nlb.LDS(2), nlb.GP(dim=1)], observation=nlb.Poisson(link="softplus")))
    assert "y[trial, time, neuron] ∼ observation(cn′x + dn" in tables.captions[0]
    assert [row[:2] for row in tables.rows] == [
        ["part", "block"],
        ["latents", "LDS (dim 2)"],
        ["latents", "GP (dim 1)"],
        ["observation", "Poisson (link softplus)"],
        ["readout", "LinearReadout"],
    ]
    assert "xt = A xt−1 + N(0, Q)" in tables.rows[1][2]


def test_a_function_is_its_docstring_as_text():
    def model(trials):
        """log rate = <script>alert(1)</script>"""

    tables = Tables(model_table(model))
    assert tables.captions == ["log rate = <script>alert(1)</script>"]


def test_a_simulated_recording(truth):
    tables = shown(truth)
    assert tables.captions == ["30 trials", "drawn from"]
    mean_hz = truth.rates.mean() / 20 * 1000
    assert tables.by_name["rates"] == ["30 x 20 x 10", f"mean {mean_hz:.3g} Hz"]
    assert tables.by_name["latents"] == ["30 x 20 x 2", ""]
    assert tables.by_name["loadings"] == ["10 x 2", "parameter"]
    assert set(truth.parameters) <= set(tables.by_name)
    switched = dataclasses.replace(truth, states={"slds.regime": np.zeros((30, 20))})
    assert shown(switched).by_name["slds.regime"] == ["30 x 20", "state"]


def test_a_posterior(fitted):
    tables = shown(dataclasses.replace(fitted, config=fitted.config | {"posterior_words": "<b>own</b>"}))
    assert tables.captions == ["Posterior"]
    rows = tables.by_name
    assert rows["latents"] == ["LDS (dim 2)"]
    assert rows["neurons"] == ["10"]
    assert rows["bins"] == ["20 ms"]
    assert rows["parameters"] == ["<b>own</b>"]
    assert rows["ELBO"] == [f"{fitted.config['em_elbo']:.1f} nats after {len(fitted.elbo)} iterations"]
    assert f"ELBO {rows['ELBO'][0]}" in repr(fitted)
    assert rows["verdict"] == [fitted.verdict]
