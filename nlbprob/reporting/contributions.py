"""What each block and each latent gives to the score of held-out neurons."""

from typing import TYPE_CHECKING

from nlbprob import plot
from nlbprob.plot import style
from nlbprob.plot.parts import LATENTS
from nlbprob.posterior.contributions import MEAN_RATE
from nlbprob.reporting.numbers import Estimate
from nlbprob.reporting.parts import Absent, Cell, Key, Panel, Row, Section, Table
from nlbprob.reporting.scores import cell
from nlbprob.reporting.view import View

if TYPE_CHECKING:
    import xarray

TITLE = "Shares of the score"
#: Height of a row of the drawing, and of all else in it, in points.
ROW, FRAME = 17, 44
#: Latents in a table that is open at first.
OPEN = 8


def section(view: View) -> Section | Absent:
    """Bits per spike of each block and latent, as drawings and tables."""
    found = view.contributions
    if found is None:
        return Absent(TITLE, "no held-out spike is seen in the scored trials")
    reading = (
        "How the score of held-out neurons, co-bps, is divided among the blocks of the model, and among its latents. "
        "A share (full dot): all parts fade in together from nothing, and what each adds on the way is summed; shares "
        "sum to the score. Lost (hollow dot): how much lower the score is without the part; what parts predict alike "
        "is lost with none of them, so that losses do not sum. Variance is that of the predictions, in the "
        "scored bins of held-out neurons. Bars and brackets are 90% intervals over trials."
    )
    counts = found.sizes["part"], min(found.sizes["latent"], LATENTS)
    drawn = [style.single(FRAME + ROW * count, 62)[1] for count in counts]
    plot.contributions(view.posterior, view.trials, drawn, contributions=found)
    headings = "blocks and effects", "latents"
    panels = []
    for axes, heading in zip(drawn, headings, strict=True):
        axes.set_title("", loc="left")
        label = f"Shares of the score of {heading}, and what is lost without each; the table has the values"
        panels.append(Panel(heading, style.figure_of(axes), label))
    tables = [
        table(found, "part", "", "Blocks and effects"),
        table(found, "latent", "latent_", "Latents", found.sizes["latent"] > OPEN),
    ]
    key = [Key(style.MODEL, "share of the score", "dot"), Key(style.HELDOUT, "lost without it", "ring")]
    return Section(TITLE, reading, panels, key, tables)


def table(found: "xarray.Dataset", dim: str, prefix: str, caption: str, folded: bool = False) -> Table:
    """Shares, losses and variances of parts."""
    columns = [caption.lower(), "share (bits/spike)", "lost without it (bits/spike)", "variance (%)"]
    rows = [
        Row(
            str(part),
            [
                *(cell(*estimate(found, f"{prefix}{name}", place) or (None, None)) for name in ("bits", "lost")),
                share_of_variance(found[f"{prefix}variance"].values[place].item()),
            ],
        )
        for place, part in enumerate(found[dim].values)
    ]
    return Table(f"{caption}: shares of the score", columns, rows, folded)


def estimate(found: "xarray.Dataset", name: str, place: int) -> Estimate | None:
    """A value with its interval; None where the part has none."""
    value, *ends = (found[f"{name}{end}"].values[place].item() for end in ("", "_low", "_high"))
    if value != value:
        return None
    return Estimate.of(value, ends if ends[0] == ends[0] else None)


def share_of_variance(fraction: float) -> Cell:
    """A fraction as a percentage; a dash where there is none."""
    return Cell("–") if fraction != fraction else Cell(f"{100 * fraction:.1f}", value=fraction)


def shares_of(found: "xarray.Dataset", dim: str, prefix: str) -> dict[str, Estimate]:
    """The shares of blocks and effects, or of latents, by their names."""
    each = {str(name): estimate(found, f"{prefix}bits", place) for place, name in enumerate(found[dim].values)}
    return {name: one for name, one in each.items() if one is not None and name != MEAN_RATE}


def cost(found: "xarray.Dataset") -> float:
    """What mean rates that are predicted wrongly take from the score, bits per spike."""
    return -found["bits"].sel(part=MEAN_RATE).item()
