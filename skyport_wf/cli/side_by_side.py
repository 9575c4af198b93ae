"""Several images published at once, each by a command of its own.

A signal then ends each as it would end alone, with all that it has to take away; threads could not be interrupted.
"""

from __future__ import annotations

import argparse
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any, cast

import msgspec

from skyport_wf.cli.messages import hand_on
from skyport_wf.cli.progress import nth, progress_bar
from skyport_wf.cli.publish_queue import READERS_CHANGED, Ended, PublishQueue
from skyport_wf.decoding import decode_json
from skyport_wf.errors import EXIT_DONE, EXIT_FAILED, SkyportError
from skyport_wf.progress import Progress
from skyport_wf.records.encoding import decode_record
from skyport_wf.records.receipt import Receipt

_LAST_WORDS = 5.0
"""Seconds that the last messages of a command that has ended may take to be shown."""
_EXPECTED, _CAME = "expect", "came"
"""The words with which a command tells of its progress, each before a number of bytes."""


class ToldProgress(Progress):
    """Tells the command that started this one how far it is."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def expect(self, size: int) -> None:
        """Tell that so many bytes are to come, too."""
        self._tell(_EXPECTED, size)

    def __call__(self, size: int) -> None:
        """Tell that so many have come."""
        if size:
            self._tell(_CAME, size)

    def _tell(self, what: str, size: int) -> None:
        # Whoever wanted to know may be gone.
        with suppress(OSError):
            os.write(self._descriptor, f"{what} {size}\n".encode())


def publish_side_by_side(todo: PublishQueue, args: argparse.Namespace) -> None:
    """Publish the images of the queue, as many at once as `--jobs` says."""
    ends: queue.SimpleQueue[_Command] = queue.SimpleQueue()
    running: list[_Command] = []
    try:
        while True:
            while len(running) < args.jobs and (image := todo.take()):
                title = nth(f"publish {image.spec.name}", todo.taken, todo.total)
                running.append(_Command(image.spec.name, title, args))
                running[-1].start(ends.put)
            if not running:
                return
            command = ends.get()
            running.remove(command)
            todo.put(command.ended())
    except BaseException as ending:
        number = signal.SIGINT if isinstance(ending, KeyboardInterrupt) else signal.SIGTERM
        for command in running:
            command.send_signal(number)
        for command in running:
            command.wait()
        raise


class _Command:
    """`skyport-wf publish` of one image, whose messages and progress are shown with those of others."""

    def __init__(self, name: str, title: str, args: argparse.Namespace) -> None:
        """Make the command, not started yet.

        title: what its bar is called.
        """
        self._name = name
        self._title = title
        self._args = args
        self._out = b""
        self._watching: threading.Thread | None = None

    def start(self, at_end: Callable[[_Command], None]) -> None:
        """Start it; `at_end` is called when it has ended.

        Raises SkyportError if no process can be started.
        """
        ours, theirs = os.pipe()
        told = os.fdopen(ours)
        try:
            # Of a group of its own, so that Ctrl-C reaches this command only, which hands it on once.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "skyport_wf", *_words(self._name, self._args, theirs)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
                pass_fds=[theirs], env={**os.environ, "NO_COLOR": "1"},
            )  # fmt: skip
        except OSError as error:
            told.close()
            raise SkyportError(f"cannot start another command: {error.strerror}. Try fewer --jobs.") from error
        finally:
            os.close(theirs)
        self._watching = threading.Thread(target=self._watch, args=[told, at_end], daemon=True)
        self._watching.start()

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it has been started."""
        if self._watching:
            self.process.send_signal(number)

    def wait(self) -> None:
        """Wait until it has ended, and what it has shown of its progress is gone from the terminal."""
        if self._watching:
            self.process.wait()
            self._watching.join(_LAST_WORDS)

    def _watch(self, told: IO[str], at_end: Callable[[_Command], None]) -> None:
        messages = threading.Thread(target=self._hand_on_messages, daemon=True)
        messages.start()
        try:
            with told, progress_bar(self._args, self._title) as progress:
                for line in told:
                    what, _, size = line.partition(" ")
                    (progress.expect if what == _EXPECTED else progress)(int(size))
            self._out = cast(IO[bytes], self.process.stdout).read()
            messages.join()
        finally:
            self.process.wait()
            at_end(self)

    def _hand_on_messages(self) -> None:
        for line in cast(IO[bytes], self.process.stderr):
            text = line.decode(errors="replace")
            # Of what several builds print at once, people want to know whose it is.
            hand_on(text if text.startswith("skyport-wf: ") else f"{self._name} | {text}")

    def ended(self) -> Ended:
        """Return how it ended."""
        try:
            told: dict[str, Any] = decode_json(self._out)
        except (msgspec.DecodeError, UnicodeDecodeError):
            told = {}
        code = self.process.returncode
        if code == EXIT_DONE and told.get("published"):
            receipt = decode_record(msgspec.json.encode(told["published"][0]), Receipt, name=self._name)
            readers_changed = next((word for word in READERS_CHANGED if told.get(word)), None)
            state = readers_changed or ("there already" if told.get("there_already") else "published")
            return Ended(self._name, state, receipt)
        why = told.get("error") or f"its command ended with exit code {code}"
        return Ended(self._name, "failed", why=str(why), exit_code=code if code > 0 else EXIT_FAILED)


def _words(name: str, args: argparse.Namespace, progress_to: int) -> list[str]:
    """Return the command line for one image."""
    words = ["publish", name, "--json", "--images", str(args.images), "--progress-to", str(progress_to)]
    words += [f"--{option}" for option in ("private", "quiet", "verbose") if getattr(args, option)]
    for option in ("record", "sbom", "lock"):
        if value := getattr(args, option):
            words += [f"--{option}", str(value)]
    return words
