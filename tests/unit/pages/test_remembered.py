"""A list that takes long to make is shown as it was, and made anew meanwhile."""

import threading

import pytest

from skyport_wf.errors import TemporaryError
from skyport_wf.pages import remembered as module
from skyport_wf.pages.entries import ImageEntry
from skyport_wf.pages.remembered import Remembered


def entry(tag: str) -> ImageEntry:
    return ImageEntry("n1", "lab/tool", tag, "published", 1, "2026-01-02T03:04:05Z", "", is_private=False)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def taking(clock: list[float], seconds: float, *entries: ImageEntry):
    def read():
        clock[0] += seconds
        return entries

    return read


def test_a_list_that_is_read_quickly_is_always_new(clock):
    listing = Remembered[tuple[ImageEntry, ...]]()
    assert listing.get(taking(clock, 0.01, entry("1"))) == (entry("1"),)
    clock[0] += 0.1
    assert listing.get(taking(clock, 0.01, entry("2"))) == (entry("2"),)


def test_a_slow_one_is_shown_as_it_was_and_the_next_visitor_gets_the_new_one(clock):
    listing = Remembered[tuple[ImageEntry, ...]]()
    listing.get(taking(clock, 5, entry("1")))
    clock[0] += 10
    assert listing.get(taking(clock, 5, entry("2"))) == (entry("1"),), "not old enough"
    clock[0] += 10
    done = threading.Event()

    def read():
        done.set()
        return (entry("2"),)

    assert listing.get(read) == (entry("1"),)
    assert done.wait(10)
    for thread in threading.enumerate():
        if thread.name == "remembered":
            thread.join(10)
    assert listing.get(read) == (entry("2"),)


def test_nobody_sees_a_very_old_one(clock):
    listing = Remembered[tuple[ImageEntry, ...]]()
    listing.get(taking(clock, 5, entry("1")))
    clock[0] += 3600
    assert listing.get(taking(clock, 5, entry("2"))) == (entry("2"),)


def test_a_failure_is_told_while_there_is_no_list_and_does_no_harm_later(clock, caplog):
    def fail():
        raise TemporaryError("Shock does not answer")

    listing = Remembered[tuple[ImageEntry, ...]]()
    with pytest.raises(TemporaryError):
        listing.get(fail)
    listing.get(taking(clock, 5, entry("1")))
    clock[0] += 100
    assert listing.get(fail) == (entry("1"),)
    for thread in threading.enumerate():
        if thread.name == "remembered":
            thread.join(10)
    assert "stays as it was" in caplog.text
    assert listing.get(taking(clock, 5, entry("2"))) == (entry("1"),)
