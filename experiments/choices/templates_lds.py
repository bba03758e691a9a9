"""How the defaults of models/templates_lds.py were chosen: inside the training trials of the maze recording.

python experiments/choices/templates_lds.py maze_large_subset.nwb [--bin-ms 20]

Three folds of the split `train`; each fold's trials are predicted from their held-in neurons by a fit to the other two,
and scored by the bits per spike of the held-out ones. Trials of `val` are never read. Point estimates are enough to
compare sizes. What it prints lies beside this file, in templates_lds.txt; and in templates_temperature.txt what
`--temperature` prints, which chooses the temperature at these sizes.
"""

import argparse
import pathlib

import nlbprob as nlb

GRID = {"template_dim": [6, 10, 14], "dim": [3, 5, 8], "loading_scale": [0.25, 0.5]}
TEMPERATURES = {"temperature": [1.0, 4.0, 8.0, 16.0]}


def model(*, template_dim: int = 10, dim: int = 5, loading_scale: float = 0.25, temperature: float = 1.0):
    """The shipped model, with the keywords that are to be chosen."""
    sizes = {"template_dim": template_dim, "dim": dim, "loading_scale": loading_scale}
    return nlb.load_model("templates_lds", temperature=temperature, **sizes)


def main() -> None:
    """Choose, print the table, and keep it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recording", type=pathlib.Path, help="maze_large_subset.nwb")
    parser.add_argument("--bin-ms", type=float, default=20.0, help="bin width (20)")
    parser.add_argument("--temperature", action="store_true", help="choose the temperature, not the sizes")
    arguments = parser.parse_args()
    loaded = nlb.load(arguments.recording, bin_ms=arguments.bin_ms, behavior="hand_vel", condition=("condition",))
    trials = loaded.split("train")
    grid, name = (TEMPERATURES, "templates_temperature") if arguments.temperature else (GRID, "templates_lds")
    options = {"posterior": "map", "svi_steps": 0}
    choice = nlb.choose(model, trials, folds=3, seed=0, fit_options=options, **grid)
    text = f"{trials}\n{choice}\n"
    print(text)
    pathlib.Path(__file__).with_name(f"{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
