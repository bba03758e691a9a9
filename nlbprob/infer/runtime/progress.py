"""A progress bar for what takes longer than a moment."""

from tqdm.auto import tqdm


class Progress:
    """One bar over both stages of a fit, or over several fits; silent where `show` is false, or for `delay_s`."""

    def __init__(self, total: int, show: bool, unit: str = "it", first: str = "compiling", delay_s: float = 0.0):
        self.bar = tqdm(total=total, disable=not show, unit=unit, desc=first, dynamic_ncols=True, delay=delay_s)

    def advance(self, stage: str, elbo: float, count: int, remaining: int) -> None:
        """So many iterations of a stage, the bound after them, and how many are to come at most."""
        self.bar.total = self.bar.n + count + remaining
        self.tick(stage.upper(), f"ELBO {elbo:.1f} nats", count)

    def tick(self, what: str, result: str, count: int = 1) -> None:
        """So many more are done: what they were, and what came of them."""
        self.bar.set_description(what, refresh=False)
        self.bar.set_postfix_str(result, refresh=False)
        self.bar.update(count)

    def close(self) -> None:
        """End the bar's line."""
        self.bar.close()
