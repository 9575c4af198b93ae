import pytest

from skyport_wf import errors
from skyport_wf.publication.awe_lookup import AweLookupError
from skyport_wf.shock.connection import ShockRefusalError


def test_exit_codes_are_those_of_the_user_guide():
    assert (errors.EXIT_DONE, errors.EXIT_FAILED, errors.EXIT_USAGE, errors.EXIT_DIFFERENCE) == (0, 1, 2, 3)
    assert (errors.EXIT_BUG, errors.EXIT_TEMPORARY, errors.EXIT_INTERRUPTED) == (70, 75, 130)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SkyportError, 1),
        (errors.UsageError, 2),
        (errors.TemporaryError, 75),
        (errors.ArchiveError, 1),
        (errors.BuildError, 1),
        (errors.EngineError, 1),
        (errors.ShockError, 1),
        (errors.AlreadyPublishedError, 1),
        (AweLookupError, 1),
        (ShockRefusalError, 1),
    ],
)
def test_every_kind_of_error_has_its_exit_code(kind, code):
    assert issubclass(kind, errors.SkyportError)
    assert kind.exit_code == code


def test_root_cause_is_what_the_operating_system_said():
    try:
        try:
            raise ConnectionRefusedError(111, "Connection refused")
        except OSError as error:
            raise RuntimeError("HTTPConnectionPool(host=...): Max retries exceeded") from error
    except RuntimeError as error:
        assert errors.root_cause(error) == "Connection refused"


def test_root_cause_of_an_error_that_stands_alone_is_its_text():
    assert errors.root_cause(ValueError("no luck")) == "no luck"


def test_root_cause_of_an_answer_that_ends_too_early_is_no_number_that_is_not_there():
    """As urllib3 and http.client notice it, which read how long the next piece is."""
    try:
        try:
            int(b"", 16)
        except ValueError:
            raise ConnectionError("Response ended prematurely") from None
    except ConnectionError as error:
        assert errors.root_cause(error) == "Response ended prematurely"


def test_the_innermost_error_is_the_one_that_came_first():
    first, second, last = KeyError("x"), ValueError("y"), RuntimeError("z")
    last.__context__, second.__context__ = second, first
    assert [errors.innermost(error) for error in (last, second, first)] == [first] * 3
