"""`skyport-wf run NAME -- COMMAND`."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from skyport_wf.cli.arguments import add_image_list, any_path, opened_shock
from skyport_wf.cli.outcome import Outcome, written_to
from skyport_wf.cli.progress import progress_bar
from skyport_wf.errors import UsageError
from skyport_wf.input_file import is_folder

_log = logging.getLogger(__name__)
EXAMPLES = (
    "skyport-wf run my-lab/tool:1.0 -- tool reads.fq",
    "skyport-wf run --interactive my-lab/tool:1.0 -- sort <in.txt >out.txt",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("name", metavar="NAME", help="REPO[:TAG], as an AWE task names it")
    command = parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what to run; the image's own without it"
    )
    # Nothing may be left of a line, but some versions of argparse say otherwise.
    command.required = False
    add_image_list(parser)
    parser.add_argument("--interactive", "-i", action="store_true", help="let the command read stdin")
    parser.add_argument(
        "--mount", type=any_path, action="append", default=[], metavar="DIR",
        help="let it see this folder, too, at the same path; the working directory is there",
    )  # fmt: skip
    parser.add_argument("--network", default="none", metavar="NETWORK", help="the network it sees (default: none)")
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="a variable, with its value here if it has none; not set if that lacks, too",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Run a command in the published image, and end with its exit code."""
    from skyport_wf.engine.config_digests import find_by_config_digest
    from skyport_wf.engine.connection import connect
    from skyport_wf.engine.run import RunSettings, check_settings, run_command
    from skyport_wf.transfer.pull import pull

    # Which Python it is decides whether argparse leaves the `--` there.
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if command and command[0].startswith("-"):
        raise UsageError(f"options such as {command[0]} come before the image's name, and the command behind it")
    if args.json:
        raise UsageError("`run` prints what the command prints: it has no --json")
    for folder in args.mount:
        if not is_folder(folder):
            raise UsageError(f"--mount {folder}: there is no such folder, or it is closed to you")
    settings = RunSettings(
        folder=Path.cwd(), mounts=tuple(args.mount), network=args.network,
        environment=tuple(_environment(args.env)),
    )  # fmt: skip
    # Before the image is fetched, which may take long.
    check_settings(settings)
    engine = connect()
    with opened_shock(args) as shock, progress_bar(args, f"pull {args.name}") as progress:
        pulled = pull(shock, engine, args.name, progress=progress)
    found = find_by_config_digest(engine, pulled.image_id, named=pulled.name)
    code = run_command(
        engine, found.id if found else pulled.name, command, settings,
        called=args.name, output=_print, stdin=sys.stdin.buffer if args.interactive else None,
    )  # fmt: skip
    return Outcome(None, "", code)


def _environment(words: Sequence[str]) -> Iterator[str]:
    """Yield each variable with its value; one that has none, here either, is not set for the command, as by docker."""
    for word in words:
        if "=" in word or not word:
            yield word
        elif word in os.environ:
            yield f"{word}={os.environ[word]}"
        else:
            _log.warning("the variable %s is not set here, so --env %s sets none", word, word)


def _print(out: bytes | None, log: bytes | None) -> None:
    """Hand on what the command prints, as it is: it is the user's own. Raises what `written_to` raises."""
    for piece, stream, name in ((out, sys.stdout, "stdout"), (log, sys.stderr, "stderr")):
        if piece:
            with written_to(stream, name):
                stream.buffer.write(piece)
