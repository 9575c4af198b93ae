"""A Shock that kills one of its clients at a certain request: before that has done anything, or after."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from skyport_wf.store.opening import Store
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.commands import Command
from tests.support.timing import PATIENCE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class DeadlyApp(ShockApp):
    """Kills a command just before the request of a certain number is answered, or just after."""

    def __init__(self, store: Store, anonymous: frozenset[str] = frozenset({"read"})) -> None:
        super().__init__(store, anonymous=anonymous)
        self._lock = threading.Lock()
        self.disarm()

    def arm(self, number: int, *, before: bool = True) -> None:
        """Kill the command that runs at the request of this number; the next one has number 1."""
        self._left, self._before = number, before

    def disarm(self) -> None:
        self.arm(0)

    def run(self, start: Callable[[], Command]) -> int | None:
        """Run a command to its end, which may be the deadly request; return its exit code."""
        # The request may come before it is known whose it is, and waits for that.
        self._victim: Future[Command] = Future()
        with start() as command:
            self._victim.set_result(command)
            command.communicate()
        return command.returncode

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with self._lock:
            self._left -= 1
            deadly, before = self._left == 0, self._before
        if deadly and before:
            self._kill()
            # As if it had never come: nobody hears the answer.
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        answer = super().__call__(environ, start_response)
        if deadly and not before:
            self._kill()
        return answer

    def _kill(self) -> None:
        victim = self._victim.result(PATIENCE)
        victim.kill()
        victim.wait()
