"""How the default sizes of models/templates_lds.py were chosen: inside the training trials of the maze recording.

python experiments/choices/templates_lds.py maze_large_subset.nwb [--bin-ms 20]

Three folds of the split `train`; each fold's trials are predicted from their held-in neurons by a fit to the other two,
and scored by the bits per spike of the held-out ones. Trials of `val` are never read. Point estimates are enough to
compare sizes. What it prints lies beside this file, in templates_lds.txt.
"""

import argparse
import pathlib

import nlbprob as nlb

GRID = {"template_dim": [6, 10, 14], "dim": [3, 5, 8], "loading_scale": [0.25, 0.5]}


def model(*, template_dim: int = 10, dim: int = 5, loading_scale: float = 0.25):
    """The shipped model, with the keywords that are to be chosen."""
    return nlb.load_model("templates_lds", template_dim=template_dim, dim=dim, loading_scale=loading_scale)


def main() -> None:
    """Choose, print the table, and keep it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recording", type=pathlib.Path, help="maze_large_subset.nwb")
    parser.add_argument("--bin-ms", type=float, default=20.0, help="bin width (20)")
    arguments = parser.parse_args()
    loaded = nlb.load(arguments.recording, bin_ms=arguments.bin_ms, behavior="hand_vel", condition=("condition",))
    trials = loaded.split("train")
    options = {"posterior": "map", "svi_steps": 0}
    choice = nlb.choose(model, trials, folds=3, seed=0, fit_options=options, **GRID)
    text = f"{trials}\n{choice}\n"
    print(text)
    pathlib.Path(__file__).with_suffix(".txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
