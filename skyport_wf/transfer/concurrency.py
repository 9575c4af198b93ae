"""The same work on many things, several at a time, in threads that nobody has to wait for."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def run_concurrently(
    work: Callable[[_Item, threading.Event], _Result], items: Iterable[_Item], *, at_once: int
) -> Iterator[_Result]:
    """Yield what `work` returns for each item, as it comes; the first error is raised and ends it all.

    work: called with an item, and with an event that is set when its result is not wanted any more.
    at_once: how many threads there are. They do not keep the program from ending: someone who interrupts it
        does not want to wait for a server that does not answer.
    """
    todo: queue.SimpleQueue[_Item] = queue.SimpleQueue()
    done: queue.SimpleQueue[Future[_Result]] = queue.SimpleQueue()
    stopping = threading.Event()
    for item in items:
        todo.put(item)

    def work_on() -> None:
        while not stopping.is_set():
            try:
                item = todo.get_nowait()
            except queue.Empty:
                return
            outcome: Future[_Result] = Future()
            try:
                outcome.set_result(work(item, stopping))
            except BaseException as error:  # raised again in the thread that waits
                outcome.set_exception(error)
            done.put(outcome)

    count = todo.qsize()
    threads = [threading.Thread(target=work_on, daemon=True) for _ in range(min(at_once, count))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count):
            yield done.get().result()
    finally:
        stopping.set()
