"""Kinds of failures, and the exit code that tells a shell or a workflow engine of each.

A message says what happened, to which thing, and what to do next.
"""

import errno

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DIFFERENCE = 3
"""A check (`status`, `verify`, ...) ran and found a difference: not an error, so no exception has it."""
EXIT_BUG = 70
"""EX_SOFTWARE of sysexits.h."""
EXIT_TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h: running the same command again may work."""
EXIT_INTERRUPTED = 130
"""The code that a shell reports for a program that ended by SIGINT."""

OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
"""Errors that mean that this process, or this machine, may open no more: nothing else has failed."""


class SkyportError(Exception):
    """Something failed for a reason that the user can understand; ends with exit code 1."""

    exit_code = EXIT_FAILED


class UsageError(SkyportError):
    """The command line, `images.yaml` or a setting is wrong; ends with exit code 2."""

    exit_code = EXIT_USAGE


class TemporaryError(SkyportError):
    """The engine or a server could not be reached after all retries; ends with exit code 75."""

    exit_code = EXIT_TEMPORARY

    def __init__(self, message: str, *, retry_after: float = 0.0) -> None:
        """Say what happened. retry_after: seconds for which the server asks to be left alone, if it does."""
        super().__init__(f"{message} It asks to be left alone for {retry_after:.0f} s." if retry_after else message)
        self.retry_after = retry_after


class ArchiveError(SkyportError):
    """A file is not a Docker archive that can be published."""


class BuildError(SkyportError):
    """The engine could not build the image."""


class PlatformError(SkyportError):
    """An image is for another platform than is asked for."""


class EngineError(SkyportError):
    """The Docker engine refused what it was asked to do."""


class ShockError(SkyportError):
    """A Shock server refused what it was asked to do, or answered something else than Shock does."""


class AlteredError(ShockError):
    """What is in front of a Shock server changes the bytes of files: nothing is known of the files themselves."""


class AlreadyPublishedError(SkyportError):
    """The name is taken on Shock, by another image or by another user."""


def root_cause(error: BaseException) -> str:
    """Return the words at the bottom of a chain of exceptions, such as `Connection refused`.

    What network libraries say themselves names their own classes, pools and every address tried.
    """
    chain = [error]
    while (below := chain[-1].__context__) is not None:
        chain.append(below)
    # An answer that ends too early is noticed by a library as it reads a number that is not there.
    cause = next((one for one in reversed(chain) if type(one) is not ValueError), chain[-1])
    return getattr(cause, "strerror", None) or str(cause)


def innermost(error: BaseException) -> BaseException:
    """Return the exception at the bottom of a chain: that which came first."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def out_of_files(doing: str) -> str:
    """Return what OUT_OF_FILES means, in words. doing: what needs a further file, such as `saving lab/tool:1`."""
    return (
        f"this process may open no more files and connections, as it needs for {doing}. Raise its limit, which "
        "`ulimit -n` shows, or that of the machine."
    )
