import pytest

from nlbprob.data.places import inside
from nlbprob.errors import InputError


def test_a_path_in_the_folder_is_taken(tmp_path):
    assert inside(tmp_path, "sub-Indy/sub-Indy_desc-train.nwb") == tmp_path / "sub-Indy" / "sub-Indy_desc-train.nwb"
    assert inside(tmp_path, "a..b") == tmp_path / "a..b"
    link = tmp_path.with_name(tmp_path.name + "_link")
    link.symlink_to(tmp_path)
    assert inside(link, "sub/a.nwb") == link / "sub" / "a.nwb"


@pytest.mark.parametrize(
    "path",
    [
        "../a",
        "sub/../../a",
        "..",
        ".",
        "",
        "/etc/a",
        "//host/a",
        "sub//a",
        "sub/",
        "C:a",
        "C:/a",
        "..\\a",
        "sub\\a",
        "a\0b",
        "a\nb",
        "\x1b[2Ja",
        "a\u202eb",
    ],
)
def test_any_other_path_is_refused(tmp_path, path):
    with pytest.raises(InputError, match="The server names a file '.*', which is no path in a folder") as caught:
        inside(tmp_path / "data", path)
    assert str(caught.value).isprintable()


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    (folder / "round").symlink_to("round")
    (folder / "in").mkdir()
    (folder / "also").symlink_to("in")
    for path in ("out/a", "out/sub/a", "round/a"):
        with pytest.raises(InputError, match="leads out of .*data; remove the link"):
            inside(folder, path)
    assert inside(folder, "also/a") == folder / "also" / "a"
