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


@pytest.mark.parametrize("seconds", ["0", "-5"])
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


@pytest.mark.parametrize("error", [ShockError("no"), UsageError("no"), ValueError("no"), KeyboardInterrupt()])
def test_what_is_not_temporary_is_not_tried_again(monkeypatch, error):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")
    call = Failing(1, error)
    with pytest.raises(type(error)):
        retrying(call)
    assert call.calls == 1


@pytest.mark.parametrize("text", ["soon", "1 s", "nan", "1,5"])
def test_a_time_that_is_none(monkeypatch, text):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", text)
    with pytest.raises(UsageError) as caught:
        retrying(Failing(0))
    assert str(caught.value) == f"SKYPORT_RETRY_SECONDS={text!r} is not a number of seconds"


def test_a_server_that_says_no_is_not_one_that_fails():
    assert {429, 500, 502, 503, 504} <= TEMPORARY_STATUSES
    assert not TEMPORARY_STATUSES & {400, 401, 403, 404, 501, 505, 507}
