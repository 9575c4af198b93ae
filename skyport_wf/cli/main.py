"""The command `skyport-wf`: finds the verb, runs it, and turns every ending into an exit code."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import nullcontext, redirect_stdout, suppress

from skyport_wf import __version__
from skyport_wf.cli.messages import report_error, start_logging, stop_logging
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.parser import parse
from skyport_wf.cli.signals import act_on_signals
from skyport_wf.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, SkyportError

_REPORT = (
    "This is a bug of skyport-wf {version}. Please report it to those who maintain the copy that you have: your site's "
    "administrators, or the repository that it was installed from. Keep for them the command, the image list, the "
    "lines above, which hold no token, and what `skyport-wf doctor` says."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. The table of codes is in the user guide."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        args = parse(arguments)
    except SkyportError as error:
        return _fail(str(error), error.exit_code, argparse.Namespace(json="--json" in arguments))
    except BrokenPipeError:
        return EXIT_FAILED
    act_on_signals()
    # Behind a file, what the command says would be part of it.
    with redirect_stdout(sys.stderr) if args.stdout_is_taken else nullcontext():
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    """Run the verb and return its exit code."""
    try:
        start_logging(args)
        outcome: Outcome = importlib.import_module(f"skyport_wf.cli.{args.verb}").run(args)
        outcome.write(as_json=args.json)
    except SkyportError as error:
        return _fail(str(error), error.exit_code, args)
    except KeyboardInterrupt:
        return _fail("interrupted", EXIT_INTERRUPTED, args)
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        return EXIT_FAILED
    except Exception:
        return _fail(f"{traceback.format_exc()}{_REPORT.format(version=__version__)}", EXIT_BUG, args)
    finally:
        stop_logging()
    return outcome.exit_code


def _fail(message: str, code: int, args: argparse.Namespace) -> int:
    report_error(message)
    if args.json:
        readable = message.encode(errors="backslashreplace").decode()
        with suppress(BrokenPipeError, SkyportError):
            Outcome({"error": readable, "exit_code": code}, "").write(as_json=True)
    return code
