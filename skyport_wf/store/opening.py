"""A store, opened and closed."""

import logging
from pathlib import Path
from types import TracebackType
from typing import Self

from skyport_wf.store.garbage import tidy
from skyport_wf.store.joining import Joiner
from skyport_wf.store.node_store import NodeStore
from skyport_wf.store.refusals import StoreError

_log = logging.getLogger(__name__)


class Store(NodeStore):
    """An open store. Closing it waits for what it does in the background."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.joiner = Joiner(self)

    def maintain(self) -> None:
        """Remove what a crash left, delete what has expired, and join what others left unjoined, where we may write."""
        if self.folder.is_read_only():
            return
        with self.folder.failing_in_words():
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


def open_store(data: Path, *, maintain: bool = True, must_exist: bool = False) -> Store:
    """Return the store whose data is in the folder. Nothing is written before there is something to write.

    maintain: whether to look after it first, as every start should unless it is to see what a crash left.
    must_exist: whether a folder without a store is an error; else it is an empty store.
    Raises StoreError if the folder cannot be used.
    """
    store = Store(data.absolute())
    with store.folder.failing_in_words():
        store.folder.check()
    if store.database.exists():
        store.database.check()
        if maintain:
            try:
                store.maintain()
            except StoreError as error:
                # A full disk must not keep anyone from reading.
                _log.warning("the store could not be tidied up: %s", error)
    elif store.folder.has_files():
        # Raises, and says that the database is missing.
        store.database.prepare()
    elif must_exist:
        raise StoreError(
            f"there is no store in {data}. `--data` and the variable SKYPORT_DATA name another folder; publishing, "
            "`skyport-wf serve` or `skyport-wf user add` make a store."
        )
    return store
