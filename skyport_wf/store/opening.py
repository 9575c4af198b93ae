"""The folder of a store, and opening it."""

import os
import sqlite3
from pathlib import Path
from types import TracebackType
from typing import Self

from skyport_wf.errors import SkyportError
from skyport_wf.store.garbage import tidy
from skyport_wf.store.joining import Joiner
from skyport_wf.store.node_store import NodeStore

DATA_VARIABLE = "SKYPORT_DATA"


class Store(NodeStore):
    """An open store. Closing it waits for what it does in the background."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.joiner = Joiner(self)

    def maintain(self) -> None:
        """Remove what a crash left, delete what has expired, and join what others left unjoined."""
        tidy(self)
        self.reap()
        self.joiner.resume()

    def close(self) -> None:
        """Finish what is being done in the background, and close the database."""
        self.joiner.close()
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(data: Path, *, maintain: bool = True) -> Store:
    """Return the store whose data is in the folder, made if it is not there.

    maintain: whether to look after it first, as every start should unless it is to see what a crash left.
    Raises SkyportError if the folder cannot be used.
    """
    store = Store(data.absolute())
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        store.files.prepare()
        store.database.prepare()
    except OSError as error:
        raise SkyportError(
            f"the embedded Shock cannot keep its data in {data}: {error.strerror or error}. "
            f"Choose another folder with {DATA_VARIABLE}."
        ) from error
    except sqlite3.Error as error:
        raise SkyportError(
            f"{store.database.path} cannot be used as the embedded Shock's database: {error}. "
            f"Move it away, or choose another folder with {DATA_VARIABLE}."
        ) from error
    if maintain:
        store.maintain()
    return store


def default_data() -> Path:
    """Return the folder named by SKYPORT_DATA, or else the user's own one for this program."""
    if named := os.environ.get(DATA_VARIABLE):
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("skyport-wf", appauthor=False)
