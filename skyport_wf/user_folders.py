"""The folders of the user who runs the program, where there are any: a service's or container's user may have none."""

from pathlib import Path
from typing import Literal


def home_folder() -> Path | None:
    """Return the user's home folder; None if neither HOME nor the system's list of users names one."""
    try:
        home = Path.home()
    except RuntimeError:
        return None
    return home if home.is_absolute() else None


def user_folder(kind: Literal["cache", "data"]) -> Path | None:
    """Return the user's own folder for this program's copies or data; None if there is no home folder for it."""
    import platformdirs

    find = {"cache": platformdirs.user_cache_path, "data": platformdirs.user_data_path}[kind]
    try:
        folder = find("skyport-wf", appauthor=False)
    except RuntimeError:
        return None
    # Some versions leave a `~` as it is, or take any HOME.
    return folder if folder.is_absolute() else None
