"""What NWB files in the wild hold: ragged columns, enumerations, matrices, series of one name, invalid times."""

import datetime

import h5py
import numpy as np
import pytest
from pynwb import NWBHDF5IO, NWBFile, TimeSeries
from pynwb.behavior import EyeTracking, Position

from nlbprob.data import load
from nlbprob.errors import InputError
from tests.data.test_nwb import histogram


def rewrite(path, name, values, **keywords):
    """Put other values in the place of a data set, with its attributes; its index, if any, refers to it again."""
    with h5py.File(path, "a") as file:
        attributes = dict(file[name].attrs)
        del file[name]
        made = file.create_dataset(name, data=values, **keywords)
        made.attrs.update(attributes)
        if f"{name}_index" in file:
            file[f"{name}_index"].attrs["target"] = made.ref


def values_of(path, name):
    with h5py.File(path) as file:
        return file[name][()]


def edit(path, change):
    """Change an NWB file through pynwb."""
    with NWBHDF5IO(path, "a") as io:
        file = io.read()
        change(file)
        io.write(file)
    return path


# Ragged columns


@pytest.mark.parametrize("name", ["spike_times", "obs_intervals"])
def test_what_stands_behind_the_last_index_belongs_to_no_unit(write_nwb, recipe, name):
    path = write_nwb(recipe)
    expected = load(path, bin_ms=10)
    values = values_of(path, f"units/{name}")
    rewrite(path, f"units/{name}", np.concatenate([values, np.zeros((500, *values.shape[1:]))]))
    trials = load(path, bin_ms=10)
    np.testing.assert_array_equal(trials.counts, expected.counts)
    np.testing.assert_array_equal(trials.seen, expected.seen)


def test_a_data_set_allocated_for_terabytes_is_read_to_its_last_index(write_nwb, recipe):
    path = write_nwb(recipe)
    expected = load(path, bin_ms=10)
    values = values_of(path, "units/spike_times")
    rewrite(path, "units/spike_times", values, chunks=(1024,), maxshape=(None,))
    with h5py.File(path, "a") as file:
        file["units/spike_times"].resize((10**13,))
    np.testing.assert_array_equal(load(path, bin_ms=10).counts, expected.counts)


def test_a_data_set_that_declares_terabytes_is_refused(write_nwb, recipe):
    path = write_nwb(recipe)
    rewrite(path, "processing/behavior/hand_vel/data", np.zeros((4, 2)), chunks=(1024, 2), maxshape=(None, 2))
    with h5py.File(path, "a") as file:
        file["processing/behavior/hand_vel/data"].resize((10**13, 2))
    with pytest.raises(InputError, match="behavior 'hand_vel': declares 1.6e.14 bytes, of which the file stores"):
        load(path, bin_ms=10, behavior="hand_vel")


@pytest.mark.parametrize("values", [8, None])
def test_spike_times_without_an_index_are_told(write_nwb, recipe, values):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        del file["units/spike_times_index"]
    rewrite(path, "units/spike_times", values_of(path, "units/spike_times")[:values])
    with pytest.raises(InputError, match="session.nwb: spike_times: the table units has no spike_times_index"):
        load(path, bin_ms=10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index[::-1], "row 1 ends at"),
        (lambda index: np.r_[index[:-1], index[-1] + 1], "row 7 ends at"),
        (lambda index: np.r_[-1, index[1:].astype(int)], "row 0 ends at -1"),
        (
            lambda index: np.r_[index[:3], np.array([2**63 + 5], np.uint64), index[4:]],
            "row 3 ends at 9223372036854775813",
        ),
        (lambda index: index.astype(float), "expected one whole number for each of 8 rows, got float64"),
    ],
)
def test_an_index_that_does_not_divide_its_values_is_told(write_nwb, recipe, change, message):
    path = write_nwb(recipe)
    rewrite(path, "units/spike_times_index", change(values_of(path, "units/spike_times_index")))
    with pytest.raises(InputError, match=f"session.nwb: spike_times_index: {message}"):
        load(path, bin_ms=10)


def test_lists_of_lists_of_spikes_are_told(write_nwb, recipe):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        units = file["units"]
        units["spike_times_index_index"] = np.arange(1, 9)
        units["spike_times_index_index"].attrs.update(dict(units["spike_times_index"].attrs))
        units["spike_times_index_index"].attrs["target"] = units["spike_times_index"].ref
    with pytest.raises(InputError, match="spike_times: holds lists of lists"):
        load(path, bin_ms=10)


# Columns


def test_a_units_table_without_rows_is_told(tmp_path):
    file = NWBFile("a session", "id", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    file.add_unit_column("quality", "quality", data=np.zeros(0))
    file.add_trial(start_time=0.0, stop_time=1.0)
    with NWBHDF5IO(tmp_path / "empty.nwb", "w") as io:
        io.write(file)
    with pytest.raises(InputError, match="empty.nwb: the units table has no unit"):
        load(tmp_path / "empty.nwb", bin_ms=10)


def test_a_trials_table_without_rows_is_told():
    file = NWBFile("a session", "id", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    file.add_unit(spike_times=[0.1, 0.2])
    file.add_trial_column("side", "side")
    with pytest.raises(InputError, match="the table 'trials' has no row; .*chunk_ms"):
        load(file, bin_ms=10)


@pytest.mark.filterwarnings("ignore:EnumData is experimental:UserWarning")
def test_codes_of_an_enumeration_are_read_as_their_names(write_nwb, recipe):
    path = write_nwb(recipe)

    def change(file):
        for name, table, codes in (("quality", file.units, [0, 1] * 4), ("hand", file.trials, [1, 0, 0] * 4)):
            table.add_column(name, name, data=np.array(codes, dtype=np.uint8), enum=["good", "mua"])

    edit(path, change)
    trials = load(path, bin_ms=10, condition="hand", units="quality == 'good'")
    assert trials.condition_labels == ["good", "mua"]
    np.testing.assert_array_equal(trials.table["hand"], ["mua", "good", "good"] * 4)
    np.testing.assert_array_equal(trials.neurons["id"], [11, 13, 15, 17])
    rewrite(path, "units/quality", np.array([0, 1, 2, 0, 0, 0, 0, 0], dtype=np.uint8))
    assert "quality" not in load(path, bin_ms=10).neurons
    with pytest.raises(InputError, match="units: the units column 'quality' has a code that is none of its 2 elements"):
        load(path, bin_ms=10, units="quality == 'good'")


@pytest.mark.parametrize("shape", [(-1, 1), (1, -1)])
def test_columns_that_are_matrices_of_one_row_or_column_load(write_nwb, recipe, shape):
    recipe.series["hand_vel"] = {"data": np.ones(720), "timestamps": 0.01 * np.arange(720)}
    path = write_nwb(recipe)
    expected = load(path, bin_ms=10, behavior="hand_vel", condition="side")
    spikes = values_of(path, "units/spike_times").reshape(-1, 1)
    rewrite(path, "units/spike_times", spikes)
    if shape[0] == -1:  # pynwb refuses tables with rows of matrices
        for name in ("side", "start_time", "stop_time", "contrast", "split"):
            values = values_of(path, f"intervals/trials/{name}").reshape(shape)
            rewrite(
                path,
                f"intervals/trials/{name}",
                values,
                dtype=h5py.string_dtype() if name in ("side", "split") else None,
            )
        rewrite(path, "units/heldout", values_of(path, "units/heldout").reshape(shape))
    data = "processing/behavior/hand_vel/data"  # of timestamps, pynwb refuses other shapes
    rewrite(path, data, values_of(path, data).reshape(shape))
    trials = load(path, bin_ms=10, behavior="hand_vel", condition="side")
    for name in ("counts", "behavior", "heldout", "condition_index"):
        np.testing.assert_array_equal(getattr(trials, name), getattr(expected, name))


def test_text_of_another_encoding_stands_in_nobodys_way(write_nwb, recipe):
    path = write_nwb(recipe)
    rewrite(path, "units/area", np.array([b"m\xfc", b"MOs"] * 4, dtype=object), dtype=h5py.string_dtype())
    trials = load(path, bin_ms=10)
    np.testing.assert_array_equal(trials.neurons["area"], ["m\\xfc", "MOs"] * 4)
    rewrite(path, "units/area", np.array([b"m\xfc", b"MOs"] * 4, dtype="S3"))
    assert load(path, bin_ms=10, units="area == 'MOs'", heldout="none").n_neurons == 4


def test_attributes_of_fixed_length_load(write_nwb, recipe):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        for item in (file, file["units"], file["units/area"], file["intervals/trials"]):
            for name in ("neurodata_type", "namespace", "nwb_version"):
                if name in item.attrs:
                    text = item.attrs[name]
                    del item.attrs[name]
                    item.attrs[name] = np.bytes_(text)
    assert load(path, bin_ms=10).n_trials == 12


def test_lists_references_and_records_in_the_trials_are_told_as_such(write_nwb, recipe):
    path = write_nwb(recipe)

    def change(file):
        file.trials.add_column("licks", "licks", data=[[0.1, 0.2], []] * 6, index=True)
        file.trials.add_column("target", "target", data=np.zeros((12, 2)))
        file.trials.add_column("pair", "a record", data=np.zeros(12))

    edit(path, change)
    rewrite(path, "intervals/trials/pair", np.zeros(12, dtype=[("a", float), ("b", int)]))
    assert not {"licks", "target", "pair"} & set(load(path, bin_ms=10).table)
    for options, message in (
        ({"align": "licks", "window_ms": (0, 100)}, "align: the trials column 'licks' holds lists"),
        ({"condition": ["side", "target"]}, "condition: the trials column 'target' holds an array of shape .12, 2."),
        ({"split": "pair"}, "split: the trials column 'pair'.* expected numbers, booleans or strings"),
    ):
        with pytest.raises(InputError, match=message):
            load(path, bin_ms=10, **options)


def test_lists_in_the_units_are_told_as_such(write_nwb, recipe):
    path = write_nwb(recipe)
    edit(path, lambda file: file.units.add_column("depths", "depths", data=[[1.0, 2.0]] * 8, index=True))
    with pytest.raises(InputError, match="units: the units column 'depths' holds lists"):
        load(path, bin_ms=10, units="depths > 3")
    with pytest.raises(InputError, match="heldout: the units column 'depths' holds lists"):
        load(path, bin_ms=10, heldout="depths")


def test_names_with_blanks_select_units(write_nwb, recipe):
    recipe.units["brain area"] = recipe.units.pop("area")
    assert load(write_nwb(recipe), bin_ms=10, units="`brain area` == 'MOs'").n_neurons == 3


def test_conditions_that_differ_have_labels_that_differ(write_nwb, recipe):
    recipe.trials["contrast"] = [0.1 + 0.2, 0.3, 1.0] * 4
    recipe.trials["side"] = ["a, b", "a", "a"] * 4
    recipe.trials["other"] = ["c", "b, c", "b"] * 4
    path = write_nwb(recipe)
    assert load(path, bin_ms=10, condition="contrast").condition_labels == ["0.3", "0.30000000000000004", "1.0"]
    assert load(path, bin_ms=10, condition=["side", "other"]).condition_labels == [
        "'a', 'b'",
        "'a', 'b, c'",
        "'a, b', 'c'",
    ]


def test_control_characters_of_a_file_reach_no_output(write_nwb, recipe):
    recipe.units["area"] = ["\x1b[2J", "b\x07", "c\r", "d", "e", "f", "g", "\u202eh"]
    recipe.trials["side"] = ["\x1b]0;owned\x07", "left"] * 6
    recipe.series = {"hand\x1b[2J": {"data": np.zeros((720, 2)), "rate": 100.0, "comments": "columns=[\x1b[31m,y]"}}
    path = write_nwb(recipe)
    trials = load(path, bin_ms=10, condition="side", behavior="hand\x1b[2J")
    shown = [*trials.neurons["area"], *trials.condition_labels, trials.behavior_name, *trials.behavior_channels]
    assert all(text.isprintable() for text in [*shown, repr(trials), *trials.source["notes"]])
    assert trials.condition_labels[0] == "\\x1b]0;owned\\x07"
    for options in ({"behavior": "hand"}, {"condition": "\x1b[2J"}, {"units": "aera == 'd'"}, {"intervals": "\x07"}):
        with pytest.raises(InputError) as caught:
            load(path, bin_ms=10, **options)
        assert str(caught.value).isprintable()


# Series


@pytest.fixture
def two_series(write_nwb, recipe):
    """A file with two series "SpatialSeries", of the hand (1) and of the eye (100)."""
    path = write_nwb(recipe)

    def change(file):
        for kind, value in ((EyeTracking, 100.0), (Position, 1.0)):
            holder = kind(name=kind.__name__)
            data = np.full((720, 2), value)
            holder.create_spatial_series(name="SpatialSeries", data=data, rate=100.0, reference_frame="the room")
            file.processing["behavior"].add(holder)
        file.add_acquisition(TimeSeries(name="hand_vel", data=np.full(720, 7.0), rate=100.0, unit="m"))

    return edit(path, change)


def test_series_of_one_name_are_listed_with_their_places(two_series):
    places = "'behavior/EyeTracking/SpatialSeries', 'behavior/Position/SpatialSeries'"
    with pytest.raises(InputError, match=f"behavior: 2 series answer to 'SpatialSeries'; name one .*{places}"):
        load(two_series, bin_ms=10, behavior="SpatialSeries")
    with pytest.raises(InputError, match="2 series answer to 'hand_vel'.*'behavior/hand_vel', 'acquisition/hand_vel'"):
        load(two_series, bin_ms=10, behavior="hand_vel")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("Position", 1.0),
        ("Position/SpatialSeries", 1.0),
        ("behavior/Position/SpatialSeries", 1.0),
        ("/processing/behavior/Position/SpatialSeries", 1.0),
        ("EyeTracking/SpatialSeries", 100.0),
        ("acquisition/hand_vel", 7.0),
    ],
)
def test_any_place_chooses_a_series(two_series, place, value):
    trials = load(two_series, bin_ms=10, behavior=place)
    assert (trials.behavior == value).all()
    assert trials.behavior_name == place.rpartition("/")[2].replace("Position", "SpatialSeries")


def test_a_place_that_is_none_is_told_with_the_places_that_there_are(two_series):
    places = ".* There are: .*'behavior/EyeTracking/SpatialSeries', 'behavior/Position/SpatialSeries'"
    with pytest.raises(InputError, match=f"no series 'position/SpatialSeries' .*Did you mean '.*Position/.*{places}"):
        load(two_series, bin_ms=10, behavior="position/SpatialSeries")


def test_a_series_of_booleans_is_one_of_zeros_and_ones(write_nwb, recipe):
    path = write_nwb(recipe)
    licks = np.arange(720) % 20 < 10
    series = TimeSeries(name="licking", data=licks, rate=100.0, unit="none")
    path = edit(path, lambda file: file.add_acquisition(series))
    found = load(path, bin_ms=100, behavior="licking")
    signal = (0.01 * np.arange(720), licks)
    np.testing.assert_array_equal(found.behavior, load(path, bin_ms=100, behavior={"licking": signal}).behavior)
    assert set(np.unique(found.behavior)) <= {0.0, 0.5, 1.0}


def test_a_place_that_is_none_is_told(two_series):
    for name in ("Positions/SpatialSeries", "sition/SpatialSeries", "Series"):
        with pytest.raises(InputError, match=f"behavior: no series '{name}'"):
            load(two_series, bin_ms=10, behavior=name)


@pytest.mark.parametrize("clock", [{"rate": 100.0}, {"timestamps": 0.01 * np.arange(720)}])
def test_a_series_of_channels_by_time_is_refused(write_nwb, recipe, clock):
    recipe.series = {"vel": {"data": np.ones((720, 2))} | clock}
    path = write_nwb(recipe)
    rewrite(path, "processing/behavior/vel/data", np.ones((2, 720)))
    with pytest.raises(InputError, match="'vel': has 2 samples of 720 channels; is it transposed.*data.time, channel"):
        load(path, bin_ms=10, behavior="vel")


def test_timestamps_and_data_of_another_series_are_followed(write_nwb, recipe):
    path = write_nwb(recipe)
    times = 0.01 * np.arange(720) + 0.1

    def change(file):
        first = TimeSeries(name="first", data=np.arange(720.0), timestamps=times, unit="m")
        second = TimeSeries(name="second", data=2 * np.arange(720.0), timestamps=first, unit="m")
        third = TimeSeries(name="third", data=second, timestamps=first, unit="m")
        for series in (first, second, third):
            file.processing["behavior"].add(series)

    edit(path, change)
    first, third = (load(path, bin_ms=10, behavior=name).behavior for name in ("first", "third"))
    np.testing.assert_array_equal(third, 2 * first)


@pytest.mark.parametrize("rate", [0.0, -5.0, np.nan])
def test_a_rate_that_is_none_is_told(write_nwb, recipe, rate):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        file["processing/behavior/hand_vel/starting_time"].attrs["rate"] = rate
    with pytest.raises(InputError, match="rate"):
        load(path, bin_ms=10, behavior="hand_vel")


# Missing parts and links


@pytest.mark.parametrize("part", ["processing", "acquisition", "intervals", "stimulus", "specifications"])
def test_optional_parts_may_be_missing(write_nwb, recipe, part):
    path = write_nwb(recipe)
    with h5py.File(path, "a") as file:
        del file[part]
    assert load(path, bin_ms=10, chunk_ms=500).n_neurons == 8


def test_links_within_a_file_and_to_another_are_followed(write_nwb, recipe, tmp_path):
    path = write_nwb(recipe)
    expected = load(path, bin_ms=10, behavior="hand_vel")
    with h5py.File(path, "a") as file, h5py.File(tmp_path / "signal.h5", "w") as other:
        file.copy("processing/behavior/hand_vel/data", other)
        del file["processing/behavior/hand_vel/data"]
        file["processing/behavior/hand_vel/data"] = h5py.ExternalLink("signal.h5", "/data")
        file.move("processing/behavior/hand_vel", "kept")
        file["processing/behavior/hand_vel"] = h5py.SoftLink("/kept")
    # pynwb calls what a link leads to by the name that it has there.
    np.testing.assert_array_equal(load(path, bin_ms=10, behavior="kept").behavior, expected.behavior)


# Invalid times


def invalid(path, *rows):
    def change(file):
        for start, stop in rows:
            file.add_invalid_time_interval(start_time=start, stop_time=stop)

    return edit(path, change)


@pytest.mark.parametrize("observed", [True, False])
def test_bins_in_invalid_times_are_unseen(write_nwb, recipe, observed):
    recipe.observed = recipe.observed if observed else None
    path = invalid(write_nwb(recipe), (0.205, 0.3), (0.25, 0.31), (1.2, 1.75), (100.0, 200.0))
    trials = load(path, bin_ms=10, behavior="hand_vel")
    lost = np.zeros((12, 50), dtype=bool)
    lost[0, 20:31] = True
    lost[2] = True
    kept = np.arange(12) != 2
    np.testing.assert_array_equal(trials.seen, np.repeat(~lost[kept, :, None], 8, axis=2))
    counts = histogram(recipe.spikes, recipe.trials["start_time"], 50, 0.01)
    np.testing.assert_array_equal(trials.counts, (counts * ~lost[:, :, None])[kept])
    np.testing.assert_array_equal(np.isnan(trials.behavior[..., 0]), lost[kept])
    assert "61 of 600 bins, in 2 trials, lie in invalid_times: unseen" in trials.source["notes"]
    assert any("without a bin inside obs_intervals and outside invalid_times: 102" in n for n in trials.source["notes"])


def test_rates_are_of_valid_time(write_nwb, recipe):
    recipe.observed = [np.array([[0.0, 7.2]])] * 8
    times = recipe.spikes[0]
    path = invalid(write_nwb(recipe), (1.0, 3.0))
    rate = np.sum((times < 1) | (times > 3)) / 5.2
    trials = load(path, bin_ms=10, units=f"rate > {rate - 1e-6} and rate < {rate + 1e-6}", heldout="none")
    assert 11 in trials.neurons["id"]


def test_invalid_times_of_all_trials_or_without_sense_are_told(write_nwb, recipe):
    with pytest.raises(InputError, match="invalid_times: every bin of the trials lies in one"):
        load(invalid(write_nwb(recipe), (-1.0, 50.0)), bin_ms=10)
    with pytest.raises(InputError, match="invalid_times: a row does not end after it starts"):
        load(invalid(write_nwb(recipe, "other.nwb"), (3.0, 2.0)), bin_ms=10)


def test_invalid_times_elsewhere_are_noted_and_change_nothing(write_nwb, recipe):
    path = write_nwb(recipe)
    expected = load(path, bin_ms=10)
    trials = load(invalid(path, (100.0, 200.0)), bin_ms=10)
    first, *others = trials.source["notes"]
    assert first.startswith("invalid_times: none of its 1 intervals (100 to 200 s) lies in the recording")
    assert others == expected.source["notes"]
    np.testing.assert_array_equal(trials.seen, expected.seen)
