import logging
import re
import time

import pytest

from skyport_wf.errors import ShockError, TemporaryError, UsageError
from skyport_wf.retries import TEMPORARY_STATUSES, retrying


class Failing:
    """Fails so many times, then does well."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures = failures
        self.error = error or TemporaryError("Shock is away.")
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return "well"


def test_what_does_well_is_called_once():
    call = Failing(0)
    assert (retrying(call), call.calls) == ("well", 1)


def test_what_is_temporary_is_tried_again_and_logged_each_time(monkeypatch, caplog):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
    call = Failing(2)
    with caplog.at_level(logging.WARNING, "skyport_wf.retries"):
        assert retrying(call) == "well"
    assert call.calls == 3
    assert [re.sub(r"\d\.\d s", "N s", line) for line in caplog.messages] == [
        "Shock is away. Trying again in N s (attempt 2).",
        "Shock is away. Trying again in N s (attempt 3).",
    ]


@pytest.mark.parametrize("seconds", ["0", "0.0"])
def test_without_time_there_is_one_attempt(monkeypatch, caplog, seconds):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", seconds)
    call = Failing(9)
    with pytest.raises(TemporaryError, match=r"^Shock is away\.$"):
        retrying(call)
    assert call.calls == 1
    assert not caplog.messages


def test_it_gives_up_with_the_last_error_when_the_time_is_over(monkeypatch):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0.4")
    call = Failing(99)
    began = time.monotonic()
    with pytest.raises(TemporaryError, match=r"^Shock is away\.$"):
        retrying(call)
    assert time.monotonic() - began >= 0.4
    assert call.calls > 1


def test_a_server_that_asks_to_be_left_alone_is(monkeypatch):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
    call = Failing(1, TemporaryError("Shock is away.", retry_after=0.6))
    began = time.monotonic()
    assert retrying(call) == "well"
    assert time.monotonic() - began >= 0.6


@pytest.mark.parametrize("at_least", [2, 5])
def test_a_server_that_asks_to_be_left_alone_for_longer_than_there_is_time(monkeypatch, at_least):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "20")
    call = Failing(99, TemporaryError("Shock is away.", retry_after=60))
    with pytest.raises(TemporaryError, match=r"^Shock is away\. It asks to be left alone for 60 s\.$"):
        retrying(call, at_least=at_least)
    assert call.calls == 1


def test_pauses_end_with_the_time_that_is_set(monkeypatch, caplog):
    """The last attempt comes when the time is over, and not a whole pause later."""
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "2")
    with pytest.raises(TemporaryError), caplog.at_level(logging.WARNING, "skyport_wf.retries"):
        retrying(Failing(99))
    pauses = [float(re.search(r"in (\d+\.\d) s", line)[1]) for line in caplog.messages]
    # Each is rounded.
    assert sum(pauses) <= 2 + 0.05 * len(pauses)


@pytest.mark.parametrize("error", [ShockError("no"), UsageError("no"), ValueError("no"), KeyboardInterrupt()])
def test_what_is_not_temporary_is_not_tried_again(monkeypatch, error):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
    call = Failing(1, error)
    with pytest.raises(type(error)):
        retrying(call)
    assert call.calls == 1


@pytest.mark.parametrize("text", ["soon", "1 s", "nan", "inf", "1,5", "-5", "1_0", "1e3", "٣", " 1"])
def test_a_time_that_is_none(monkeypatch, text):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", text)
    with pytest.raises(UsageError) as caught:
        retrying(Failing(0))
    assert str(caught.value) == f"SKYPORT_RETRY_SECONDS={text!r} is not a number of seconds"


def test_a_server_that_says_no_is_not_one_that_fails():
    assert {429, 500, 502, 503, 504} <= TEMPORARY_STATUSES
    assert not TEMPORARY_STATUSES & {400, 401, 403, 404, 501, 505, 507}
