"""A progress bar for what takes longer than a moment."""

from tqdm.auto import tqdm


class Progress:
    """One bar over both stages of a fit, or over several fits; silent where `show` is false, or for `delay_s`."""

    def __init__(self, total: int, show: bool, unit: str = "it", first: str = "compiling", delay_s: float = 0.0):
        self.bar = tqdm(total=total, disable=not show, unit=unit, desc=first, dynamic_ncols=True, delay=delay_s)

    def advance(self, stage: str, elbo: float) -> None:
        """One iteration of a stage, and the bound after it."""
        self.tick(stage.upper(), f"ELBO {elbo:.1f} nats")

    def tick(self, what: str, result: str) -> None:
        """One more is done: what it was, and what came of it."""
        self.bar.set_description(what, refresh=False)
        self.bar.set_postfix_str(result, refresh=False)
        self.bar.update(1)

    def skip(self, iterations: int) -> None:
        """So many iterations turned out not to be needed."""
        self.bar.total -= iterations

    def close(self) -> None:
        """End the bar's line."""
        self.bar.close()
