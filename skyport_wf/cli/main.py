"""The command `skyport-wf`: finds the verb, runs it, and turns every ending into an exit code."""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from skyport_wf import __version__
from skyport_wf.cli.arguments import everywhere
from skyport_wf.cli.messages import report_error, start_logging
from skyport_wf.cli.outcome import Outcome
from skyport_wf.cli.signals import act_on_signals
from skyport_wf.errors import EXIT_BUG, EXIT_FAILED, EXIT_INTERRUPTED, SkyportError, UsageError

VERBS = {
    "init": "write an image list to start from",
    "build": "step 1: build an image, or find that it is published",
    "save": "step 2: write the image to a canonical archive",
    "upload": "step 3: send the archive to Shock, hidden",
    "register": "step 4: publish the upload under its name",
    "publish": "all four steps as one stream",
    "plan": "what there is to build, for workflow engines",
    "lock": "write the lock file from receipts",
    "status": "what is published, and what would be done",
    "lint": "find what hurts in Dockerfiles before they are built, and what AWE rejects in CWL",
    "verify": "compare Shock with the lock file",
    "resolve": "which node an AWE worker gets for a name",
    "ls": "list the images that a Shock has",
    "show": "say what is in an image: layers, waste, packages",
    "sbom": "list the packages in a published image, beside its receipt",
    "pull": "load a published image into the engine",
    "reproduce": "build a published image again, and say what differs",
    "copy": "publish an image on another Shock too",
    "retire": "take the name off a published image",
    "serve": "serve the embedded Shock over HTTP",
    "user": "manage the embedded Shock's users",
    "gc": "find and remove what crashes left in the embedded Shock",
    "doctor": "check engine, Shock, token and disk space",
}
"""The verbs, and what each does in a line. Each is a module of this folder, imported when it is asked for."""

_REPORT = "This is a bug of skyport-wf. Please report it with the lines above; they hold no token."


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. The table of codes is in the user guide."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        args = _parser(arguments).parse_args(arguments)
    except UsageError as error:
        return _fail(str(error), error.exit_code, argparse.Namespace(json="--json" in arguments))
    act_on_signals()
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
        return _fail(f"{traceback.format_exc()}{_REPORT}", EXIT_BUG, args)
    return outcome.exit_code


def _fail(message: str, code: int, args: argparse.Namespace) -> int:
    report_error(message)
    if args.json:
        readable = message.encode(errors="backslashreplace").decode()
        with suppress(BrokenPipeError, SkyportError):
            Outcome({"error": readable, "exit_code": code}, "").write(as_json=True)
    return code


class _Parser(argparse.ArgumentParser):
    """Ends as every other failure does, so that `--json` has its document."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n{self.format_usage().rstrip()}")


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Return a parser that knows every verb's name, and the arguments of those that may be asked for."""
    behind = everywhere(argparse.SUPPRESS)
    parser: argparse.ArgumentParser = _Parser(
        prog="skyport-wf",
        description="Publish Docker images to Shock: build, save, upload, register.",
        epilog="`skyport-wf VERB --help` tells more.",
        parents=[everywhere(None)],
    )
    parser.add_argument("--version", action="version", version=f"skyport-wf {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, title="verbs")
    for verb, line in VERBS.items():
        verb_parser = verbs.add_parser(verb, help=line, description=line[0].upper() + line[1:] + ".", parents=[behind])
        # Which word is the verb only the parser can tell: `--log build publish` has two.
        if verb in arguments:
            importlib.import_module(f"skyport_wf.cli.{verb}").add_arguments(verb_parser)
    return parser
