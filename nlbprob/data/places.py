"""Where a server's files may go: into the folder that the user named, and nowhere else."""

from pathlib import Path, PureWindowsPath

from nlbprob.errors import InputError, printable


def inside(folder: Path, path: str) -> Path:
    """The place of a server's path in a folder.

    Raises:
        InputError: the path is absolute, leads upwards or has control characters or backslashes, or a link in the
            folder takes it out of it.
    """
    parts = path.split("/")
    plain = printable(path) == path and "\\" not in path and not PureWindowsPath(path).drive
    if not plain or any(part in ("", ".", "..") for part in parts):
        raise InputError(
            f"The server names a file {printable(path)!r}, which is no path in a folder; nothing is written."
        )
    target = folder / path
    refuse_outside(folder, target.parent)
    return target


def refuse_outside(folder: Path, place: Path) -> None:
    """Raise InputError where links take a place out of a folder."""
    try:
        inside = place.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # links in a circle, or a name that the system does not take
        inside = False
    if not inside:
        raise InputError(f"{place} leads out of {folder}; remove the link, or choose another folder.")


def refuse_links(*places: Path) -> None:
    """Raise InputError where a place is a link: what is written there would go elsewhere."""
    for place in places:
        if place.is_symlink():
            raise InputError(f"{place} is a link, and would be written through; remove it.")
