"""A run's scores as a table on the terminal."""

import textwrap

from nlbprob.commands.terminal import say
from nlbprob.errors import printable


def print_scores(metrics: dict, title: str) -> None:
    """Print the scores in metrics.json, a line for each, beside their intervals and those of the baselines."""
    split, baselines = metrics["split"], metrics["baselines"]
    rows = []
    for name, value in metrics[split].items():
        interval = metrics["intervals"].get(name)
        between = "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
        rows.append([name, cell(value), between, *(cell(scores.get(name)) for scores in baselines.values())])
    say(f"\n{title}\nscored on {split}, fitted on {metrics['fit_on']}, bins of {metrics['bin_ms']:g} ms\n")
    say(table(["", "this run", "90% interval", *baselines], rows))
    remarks = [*metrics["reasons"].items(), *metrics.get("notes", {}).items()]
    say(*(f"{name}: {remark}" for name, remark in remarks), "")


def print_members(members: dict) -> None:
    """Print the members in the metrics.json of a committee: weight, co-bps alone, and what each adds."""
    rows = []
    for name, row in members.items():
        low, high = row.get("adds_low"), row.get("adds_high")
        between = "" if low is None or high is None else f"{low:+.4f} to {high:+.4f}"
        adds = row.get("adds")
        rows.append(
            [name, cell(row.get("weight")), cell(row.get("score")), "-" if adds is None else f"{adds:+.4f}", between]
        )
    say(table(["member", "weight", "co-bps alone", "adds", "90% interval"], rows), "")


def print_test(record: dict) -> None:
    """Print the scores in test.json, each with split and bin width, and what has to be known of them."""
    setting = [record["dataset"], "test", f"{record['bin_ms']:g} ms"]
    rows = [[*setting, name, cell(value)] for name, value in record["scores"].items()]
    say("", table(["data set", "split", "bins", "score", ""], rows), "", *record["notes"], record["statement"])


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Lines of right-aligned columns, the first one left-aligned; long headings take several lines."""
    rows = [list(map(printable, row)) for row in rows]
    wrapped = [textwrap.wrap(printable(heading), 14) for heading in headings]
    height = max(map(len, wrapped))
    above = [[""] * (height - len(lines)) + lines for lines in wrapped]
    lines = [list(line) for line in zip(*above, strict=True)] + rows
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(height, ["-" * width for width in widths])

    def joined(first: str, *others: str) -> str:
        return "  ".join([first.ljust(widths[0]), *(o.rjust(w) for o, w in zip(others, widths[1:], strict=True))])

    return "\n".join(joined(*line).rstrip() for line in lines)


def cell(value: float | None) -> str:
    """A score to three digits, or a dash where it does not apply."""
    return "-" if value is None else f"{value:.3f}"
