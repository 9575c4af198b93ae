"""A WSGI application served over HTTP, until it is stopped."""

import logging
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skyport_wf.errors import SkyportError
from skyport_wf.serving.gateway import CherootServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_MAINTENANCE_SECONDS = 60
_DEADLINE_SECONDS = 1
"""Seconds between two looks for clients that take too long."""

_MOST_FILES = 65_536
"""Open files that suffice for any number of clients: a connection each, and the files that it reads or writes."""

_log = logging.getLogger(__name__)


class Server:
    """A server that is listening.

    maintain: called now and then while it runs, in a thread of its own, for what the application has to look after.
    """

    def __init__(
        self, app: "WSGIApplication", host: str, port: int, *, maintain: Callable[[], object] = lambda: None
    ) -> None:
        self._maintain_app = maintain
        self._server = CherootServer(app, host, port)
        self._stopping = threading.Event()
        try:
            self._server.prepare()
        except OSError as error:
            raise SkyportError(
                f"cannot listen on {host}:{port}: {error}. Is another server running there? "
                "Stop it, or choose another port with --port."
            ) from error

    @property
    def port(self) -> int:
        """The port, also if any was asked for."""
        return int(self._server.bind_addr[1])

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        host = self._server.bind_addr[0]
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve until stop() is called; requests that are being answered get a few seconds to end."""
        maintenance = threading.Thread(target=self._maintain, name="maintenance", daemon=True)
        maintenance.start()
        self._server.serve()
        # stop() goes on in its own thread after it has ended the loop above.
        self._stopping.wait()
        maintenance.join()

    def stop(self) -> None:
        """Stop serving. Not from within a request, and not from a signal handler."""
        try:
            self._server.stop()
        finally:
            self._stopping.set()

    def _maintain(self) -> None:
        due = time.monotonic() + _MAINTENANCE_SECONDS
        while not self._stopping.wait(_DEADLINE_SECONDS):
            self._server.deadlines.enforce()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + _MAINTENANCE_SECONDS
            try:
                self._maintain_app()
            except Exception:
                _log.exception("maintenance failed; it will be tried again")


@contextmanager
def running_server(app: "WSGIApplication", host: str = "127.0.0.1", port: int = 0) -> Iterator[Server]:
    """Serve in the background while the block lasts."""
    server = Server(app, host, port)
    thread = threading.Thread(target=server.run, name="server")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


def serve(
    app: "WSGIApplication",
    host: str,
    port: int,
    *,
    maintain: Callable[[], object] = lambda: None,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until SIGTERM or SIGINT, from the main thread.

    port: 0 for any that is free.
    maintain: as for Server.
    ready: called with the address, the actual port in it, once requests are answered.
    Raises SkyportError if the address cannot be used.
    """
    # The limit, often 1024, lifted as far as we may: with it some hundred clients would be all.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    server = Server(app, host, port, maintain=maintain)

    def stop(number: int, _: object) -> None:
        _log.info("%s: stopping", signal.Signals(number).name)
        threading.Thread(target=server.stop, name="stop").start()

    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready(server.url)
        server.run()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
