"""The folders of the user who runs the program, where there are any: a service's or container's user may have none."""

import os
from pathlib import Path
from typing import Literal

from skyport_wf.errors import UsageError

DATA_VARIABLE = "SKYPORT_DATA"
"""The variable that names the folder of the embedded store."""


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


def default_data() -> Path:
    """Return the folder that SKYPORT_DATA names, or else the user's own one for this program.

    Raises UsageError if there is none, and for a relative SKYPORT_DATA: it means another folder in each job of a
    workflow, and what is published there would go away with the job's own folder.
    """
    named = os.environ.get(DATA_VARIABLE)
    if named is None:
        if own := user_folder("data"):
            return own
        raise UsageError(
            "this user has no home folder for the data of the embedded Shock. Give a folder's absolute path in "
            f"{DATA_VARIABLE}, or a home folder's in HOME; or name a served Shock in SHOCK_URL."
        )
    if not Path(named).is_absolute():
        raise UsageError(
            f"the variable {DATA_VARIABLE} is {named!r}. Give it an absolute path, where the embedded Shock keeps its "
            "data; or name a served Shock in SHOCK_URL."
        )
    return Path(named)
