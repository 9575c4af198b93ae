"""The same work on many things, several at a time, in threads that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(work: Callable[[_Item], _Result], items: Sequence[_Item], *, at_once: int) -> list[_Result]:
    """Return what `work` returns for each item, in the order of the items; the first error is raised.

    at_once: as for `run_concurrently`; one at a time needs no thread.
    """
    if at_once == 1:
        return list(map(work, items))
    found = run_concurrently(lambda place, _: (place, work(items[place])), range(len(items)), at_once=at_once)
    results = dict(found)
    return [results[place] for place in range(len(items))]


def run_concurrently(
    work: Callable[[_Item, threading.Event], _Result], items: Iterable[_Item], *, at_once: int
) -> Iterator[_Result]:
    """Yield what `work` returns for each item, as it comes; the first error is raised and ends it all.

    work: called with an item, and with an event that is set when its result is not wanted any more.
    items: taken one by one in the caller's thread, never more than one ahead of the work.
    at_once: how many threads there are; with one, the work is done in the order of the items. They do not keep the
        program from ending: someone who interrupts it does not want to wait for a server that does not answer.
    """
    todo: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[Future[_Result]] = queue.SimpleQueue()
    stopping = threading.Event()

    def work_on() -> None:
        while (item := todo.get()) is not None:
            outcome: Future[_Result] = Future()
            try:
                outcome.set_result(work(item, stopping))
            except BaseException as error:  # raised again in the thread that waits
                outcome.set_exception(error)
            done.put(outcome)

    threads = 0
    under_way = 0
    try:
        for item in items:
            if under_way == at_once:
                yield done.get().result()
                under_way -= 1
            if threads == under_way:
                threading.Thread(target=work_on, daemon=True).start()
                threads += 1
            todo.put(item)
            under_way += 1
        for _ in range(under_way):
            yield done.get().result()
    finally:
        stopping.set()
        for _ in range(threads):
            todo.put(None)
