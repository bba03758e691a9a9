"""A run's scores as a table on the terminal."""


def print_scores(metrics: dict, title: str) -> None:
    """Print the scores in metrics.json, a line for each, beside their intervals and those of the baselines."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    split, baselines = metrics["split"], metrics["baselines"]
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "this run", "90% interval", *baselines):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=heading == "90% interval")
    for name, value in metrics[split].items():
        interval = metrics["intervals"].get(name)
        between = "" if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"
        table.add_row(name, cell(value), between, *(cell(scores.get(name)) for scores in baselines.values()))
    console = Console(highlight=False, markup=False)
    console.print(title, style="bold")
    console.print(f"scored on {split}, fitted on {metrics['fit_on']}, bins of {metrics['bin_ms']:g} ms")
    console.print(table)
    for name, reason in metrics["reasons"].items():
        console.print(f"{name}: {reason}")


def cell(value: float | None) -> str:
    """A score to three digits, or a dash where it does not apply."""
    return "-" if value is None else f"{value:.3f}"
