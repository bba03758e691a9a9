"""One recording, as an NWB file and as each neighbouring library holds it."""

import dataclasses

import neo
import numpy as np
import pynapple as nap
import quantities as pq
import spikeinterface as si
import temporaldata as td

#: Samples a second of every recording here: times are multiples of its inverse, as of an amplifier.
RATE_HZ = 30_000


@dataclasses.dataclass
class Recorded:
    """Spike times (s) and columns of units, columns of trials, recorded interval, and a signal at 100 Hz."""

    spikes: dict
    neurons: dict
    trials: dict
    extent: tuple[float, float]
    velocity: np.ndarray

    @property
    def signal_times(self):
        return self.extent[0] + np.arange(len(self.velocity)) / 100

    @property
    def observed(self):
        return [np.array([self.extent])] * len(self.spikes)


def draw(seed: int, units: int = 4, trials: int = 10, spikes: int = 120, gap_s: float = 0.3, start_s: float = 0.5):
    """A recording drawn with a seed. gap_s: silence between two trials of 0.7 s."""
    rng = np.random.default_rng(seed)
    start = np.round((start_s + np.arange(trials) * (0.7 + gap_s)) * RATE_HZ) / RATE_HZ
    extent = (0.0, float(start[-1] + 2.0))
    ids = np.sort(rng.choice(50, units, replace=False)).tolist()
    samples = int(extent[1] * RATE_HZ)
    trains = [np.sort(rng.choice(np.arange(1, samples), spikes, replace=False)) / RATE_HZ for _ in ids]
    return Recorded(
        spikes=dict(zip(ids, trains, strict=True)),
        neurons={
            "heldout": [unit % 2 == 1 for unit in range(units)],
            "area": [("MOs", "VISp")[unit % 2] for unit in range(units)],
            "depth": np.round(rng.uniform(100, 800, units), 1).tolist(),
        },
        trials={
            "start_time": start,
            "stop_time": np.round(start + 0.7, 9),
            "split": [("train", "val")[trial % 3 == 2] for trial in range(trials)],
            "side": [("left", "right")[trial % 2] for trial in range(trials)],
            "go_time": np.round(start + 0.2, 9),
        },
        extent=extent,
        velocity=rng.normal(size=(int(extent[1] * 100), 2)),
    )


def nwb(recorded: Recorded, write, observed: bool = True):
    """Write it with pynwb; returns the path. write: of tests/data/conftest.py, which takes a Recipe's fields."""
    return write(
        spikes=list(recorded.spikes.values()),
        units={"id": list(recorded.spikes), **recorded.neurons},
        observed=recorded.observed if observed else None,
        trials={"id": list(range(len(recorded.trials["start_time"]))), **recorded.trials},
        series={
            "velocity": {
                "data": recorded.velocity,
                "rate": 100.0,
                "starting_time": recorded.extent[0],
                "comments": "columns=[x,y]",
            }
        },
    )


def others(recorded: Recorded) -> dict:
    """The columns of the trials without their times."""
    return {name: values for name, values in recorded.trials.items() if name not in ("start_time", "stop_time")}


def tsgroup(recorded: Recorded, **changes) -> nap.TsGroup:
    support = nap.IntervalSet(*recorded.extent)
    units = {unit: nap.Ts(train) for unit, train in recorded.spikes.items()}
    return nap.TsGroup(units, **({"time_support": support, "metadata": recorded.neurons} | changes))


def interval_set(recorded: Recorded) -> nap.IntervalSet:
    trials = recorded.trials
    return nap.IntervalSet(trials["start_time"], trials["stop_time"], metadata=others(recorded))


def tsdframe(recorded: Recorded) -> nap.TsdFrame:
    return nap.TsdFrame(t=recorded.signal_times, d=recorded.velocity, columns=["x", "y"])


def sorting(recorded: Recorded) -> si.NumpySorting:
    frames = {unit: np.round(train * RATE_HZ).astype(int) for unit, train in recorded.spikes.items()}
    made = si.NumpySorting.from_unit_dict(frames, RATE_HZ)
    for name, values in recorded.neurons.items():
        made.set_property(name, values)
    return made


def traces(recorded: Recorded) -> si.NumpyRecording:
    return si.NumpyRecording([np.zeros((round(recorded.extent[1] * RATE_HZ), 1), "int16")], RATE_HZ)


def spike_trains(recorded: Recorded) -> list[neo.SpikeTrain]:
    first, last = recorded.extent
    return [
        neo.SpikeTrain(
            train * 1000 * pq.ms,
            t_start=first * pq.s,
            t_stop=last * pq.s,
            id=unit,
            **{name: values[row] for name, values in recorded.neurons.items()},
        )
        for row, (unit, train) in enumerate(recorded.spikes.items())
    ]


def epoch(recorded: Recorded, name: str = "trials") -> neo.Epoch:
    start, stop = recorded.trials["start_time"], recorded.trials["stop_time"]
    columns = others(recorded) | {"go_time": recorded.trials["go_time"] * 1000 * pq.ms}
    return neo.Epoch(start * pq.s, (stop - start) * pq.s, name=name, array_annotations=columns)


def segment(recorded: Recorded) -> neo.Segment:
    made = neo.Segment()
    made.spiketrains.extend(spike_trains(recorded))
    made.epochs.append(epoch(recorded))
    signal = neo.AnalogSignal(
        recorded.velocity,
        units="mm/s",
        sampling_rate=100 * pq.Hz,
        t_start=recorded.extent[0] * pq.s,
        name="velocity",
        array_annotations={"channel_names": ["x", "y"]},
    )
    made.analogsignals.append(signal)
    return made


def data(recorded: Recorded, **changes) -> td.Data:
    times = np.concatenate(list(recorded.spikes.values()))
    owner = np.repeat(np.arange(len(recorded.spikes)), [len(train) for train in recorded.spikes.values()])
    order = np.argsort(times, kind="stable")
    trials = {name: np.asarray(values) for name, values in others(recorded).items()}
    parts = {
        "spikes": td.IrregularTimeSeries(timestamps=times[order], unit_index=owner[order], domain="auto"),
        "units": td.ArrayDict(id=np.array(list(recorded.spikes)), **recorded.neurons),
        "trials": td.Interval(start=recorded.trials["start_time"], end=recorded.trials["stop_time"], **trials),
        "cursor": td.RegularTimeSeries(velocity=recorded.velocity, sampling_rate=100.0),
        "domain": td.Interval(*recorded.extent),
    }
    return td.Data(**(parts | changes))
