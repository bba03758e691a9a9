"""A progress bar with the bound, for fits longer than a moment."""

from tqdm.auto import tqdm


class Progress:
    """One bar over both stages of a fit; silent where `show` is false."""

    def __init__(self, total: int, show: bool):
        self.bar = tqdm(total=total, disable=not show, unit="it", desc="compiling", dynamic_ncols=True)

    def advance(self, stage: str, elbo: float) -> None:
        """One iteration of a stage, and the bound after it."""
        self.bar.set_description(stage.upper(), refresh=False)
        self.bar.set_postfix_str(f"ELBO {elbo:.1f} nats", refresh=False)
        self.bar.update(1)

    def skip(self, iterations: int) -> None:
        """So many iterations turned out not to be needed."""
        self.bar.total -= iterations

    def close(self) -> None:
        """End the bar's line."""
        self.bar.close()
