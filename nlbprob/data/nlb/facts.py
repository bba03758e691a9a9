"""The seven data sets of NLB'21 as one table of facts.

Pei, Ye, Zoltowski et al. (2021), Neural Latents Benchmark '21, arXiv 2109.04463; values of its tools, nlb_tools 0.0.4.
"""

import dataclasses

from nlbprob.errors import InputError, suggestion

#: Length of the forward window after the scored one, in ms.
FORWARD_MS = 200
#: Phase -> the splits that a model may learn from, and the split that it is evaluated on.
PHASES = {"val": (("train",), "val"), "test": (("train", "val"), "test")}


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The bins of a trial: those that open in [align + a, align + b), or in [start, stop) where there is no window.

    Attributes:
        align: trials column with times in s.
        window_ms: (a, b) in ms.
        start: trials column with times in s.
        stop: trials column with times in s.
        overlap: a trial's epoch may run into the next trial's; else it is cut there.
    """

    align: str
    window_ms: tuple[int, int] | None = None
    start: str = "start_time"
    stop: str = "stop_time"
    overlap: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """The trials columns that the epoch is read from."""
        return (self.align,) if self.window_ms else (self.align, self.start, self.stop)


@dataclasses.dataclass(frozen=True)
class Psth:
    """How the target PSTH is made: smoothed with a Gaussian, averaged over the trials of a condition.

    Attributes:
        conditions: trials columns whose joint value is a trial's condition.
        kern_sd_ms: standard deviation of the Gaussian in ms.
    """

    epoch: Epoch
    conditions: tuple[str, ...]
    kern_sd_ms: int


@dataclasses.dataclass(frozen=True)
class Jitter:
    """A random shift of a trial's window by [0, clip(up_to_ms - column, 0, most_ms)] ms, in whole bins."""

    column: str
    up_to_ms: int
    most_ms: int


@dataclasses.dataclass(frozen=True)
class Dataset:
    """What the benchmark fixes for one data set.

    Attributes:
        dandiset: number of the dandiset that holds the files.
        files: how the names of the files begin.
        inputs: the window that a model sees; it is followed by the forward window.
        scored: the window whose held-out spikes are scored.
        behavior: time series that is decoded, lag_ms after the spikes. None: the trials columns `trial_behavior`
            instead.
        outlier: trials column; where it is true there is no behavior and no part in the PSTH.
        decode_by: trials column, 0 or 1, by whose value separate decoders are fitted.
    """

    name: str
    dandiset: str
    files: str
    inputs: Epoch
    scored: Epoch
    behavior: str | None = None
    lag_ms: int = 0
    trial_behavior: tuple[str, ...] = ()
    outlier: str | None = None
    decode_by: str | None = None
    jitter: Jitter | None = None
    psth: Psth | None = None

    @property
    def window_ms(self) -> tuple[int, int]:
        """The window that a model sees, in ms about its align event."""
        if self.inputs.window_ms is None:
            raise TypeError(f"{self.name}: inputs are windows of one length")
        return self.inputs.window_ms

    @property
    def train_columns(self) -> set[str]:
        """Trials columns that the train file must have."""
        optional = self.outlier, self.decode_by, self.jitter and self.jitter.column
        others = {name for name in optional if name is not None}
        conditions = self.psth.conditions if self.psth else ()
        return {*self.test_columns, *self.scored.columns, *self.trial_behavior, *conditions, *others}

    @property
    def test_columns(self) -> set[str]:
        """Trials columns that the test file must have."""
        return {"start_time", "stop_time", "split", *self.inputs.columns}


REACH = Epoch("move_onset_time", (-250, 450))
SEGMENT = Epoch("start_time", (0, 600), overlap=True)
BUMP = Epoch("move_onset_time", (-100, 500))
INTERVAL = Epoch("go_time", start="set_time", stop="go_time")
MAZE = ("trial_type", "trial_version")
TIMING = ("is_eye", "theta", "is_short", "ts")


def maze(name: str, dandiset: str, session: str, lag_ms: int, kern_sd_ms: int) -> Dataset:
    """One of the four sessions of the maze task."""
    files = f"sub-Jenkins_ses-{session}"
    psth = Psth(REACH, MAZE, kern_sd_ms)
    return Dataset(name, dandiset, files, REACH, REACH, behavior="hand_vel", lag_ms=lag_ms, psth=psth)


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        maze("mc_maze", "000128", "full", lag_ms=100, kern_sd_ms=70),
        Dataset("mc_rtt", "000129", "sub-Indy", SEGMENT, SEGMENT, behavior="finger_vel", lag_ms=140),
        Dataset(
            name="area2_bump",
            dandiset="000127",
            files="sub-Han",
            inputs=BUMP,
            scored=dataclasses.replace(BUMP, overlap=True),
            behavior="hand_vel",
            lag_ms=-20,
            decode_by="ctr_hold_bump",
            psth=Psth(BUMP, ("cond_dir", "ctr_hold_bump"), kern_sd_ms=40),
        ),
        Dataset(
            name="dmfc_rsg",
            dandiset="000130",
            files="sub-Haydn",
            inputs=Epoch("go_time", (-1500, 0), overlap=True),
            scored=INTERVAL,
            trial_behavior=(*TIMING, "tp"),
            outlier="is_outlier",
            jitter=Jitter("tp", up_to_ms=1500, most_ms=300),
            psth=Psth(INTERVAL, TIMING, kern_sd_ms=70),
        ),
        maze("mc_maze_large", "000138", "large", lag_ms=120, kern_sd_ms=50),
        maze("mc_maze_medium", "000139", "medium", lag_ms=120, kern_sd_ms=50),
        maze("mc_maze_small", "000140", "small", lag_ms=120, kern_sd_ms=50),
    )
}


def facts(dataset: str) -> Dataset:
    """The facts of a data set. Raises InputError where there is none of that name."""
    if dataset not in DATASETS:
        raise InputError(f"dataset: {dataset!r} is none of NLB'21. {suggestion(dataset, DATASETS)}")
    return DATASETS[dataset]


def splits(phase: str) -> tuple[tuple[str, ...], str]:
    """The splits to learn from, and the one to evaluate on. Raises InputError where there is no such phase."""
    if phase not in PHASES:
        raise InputError(f"phase: {phase!r} is neither of the benchmark's. {suggestion(phase, PHASES)}")
    return PHASES[phase]


def suffix(bin_ms: float | int) -> str:
    """What the benchmark adds to a data set's name: nothing for bins of 5 ms, "_20" for bins of 20 ms."""
    return "" if bin_ms == 5 else f"_{bin_ms:g}"
