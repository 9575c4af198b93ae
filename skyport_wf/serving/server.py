"""A WSGI application served over HTTP, until it is stopped."""

import ctypes
import logging
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from skyport_wf.errors import SkyportError
from skyport_wf.serving.gateway import CherootServer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

_MAINTENANCE_SECONDS = 60
_SLOW_SECONDS = 1
"""Seconds between two looks for clients that take too long."""

_MOST_FILES = 65_536
"""Open files that suffice for any number of clients: a connection each, and the files that it reads or writes."""

_ARENA_MAX, _ARENAS = -8, 2
"""The option of glibc's `mallopt` for how many parts the memory has that threads take theirs from, and our value.

Each of the twenty threads would come to have a part of its own, and keep free what the others ask the system for: after
a dozen pushes of 200 MB the process had 72 MB, and 62 MB with two parts.
"""

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (to be recognised, not to be listened on)

_log = logging.getLogger(__name__)


class Server:
    """A server that is listening.

    maintain: called now and then while it runs, in a thread of its own, for what the application has to look after.
    """

    def __init__(
        self, app: "WSGIApplication", host: str, port: int, *, maintain: Callable[[], object] = lambda: None
    ) -> None:
        self._maintain_app = maintain
        self._stopping = threading.Event()
        # One for each address that the host has: `localhost` has one of IPv4 and one of IPv6.
        self._servers: list[CherootServer] = []
        for address in _addresses(host):
            server = CherootServer(app, address, self.port if self._servers else port)
            try:
                server.prepare()
            except OSError as error:
                self._stop()
                raise SkyportError(
                    f"cannot listen on {host}:{port}: {error}. Is another server running there? "
                    "Stop it, or choose another port with --port."
                ) from error
            self._servers.append(server)

    @property
    def port(self) -> int:
        """The port, also if any was asked for."""
        return int(self._servers[0].bind_addr[1])

    @property
    def url(self) -> str:
        """An address at which clients reach it, without a slash at the end."""
        host = str(self._servers[0].bind_addr[0])
        if host in _EVERYWHERE:
            host = _address_towards_others(host)
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def run(self) -> None:
        """Serve until stop() is called; requests that are being answered get a few seconds to end."""
        threads = [threading.Thread(target=server.serve, name="serve") for server in self._servers[1:]]
        threads.append(threading.Thread(target=self._maintain, name="maintenance", daemon=True))
        for thread in threads:
            thread.start()
        self._servers[0].serve()
        # stop() goes on in its own thread after it has ended the loop above.
        self._stopping.wait()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """Stop serving. Not from within a request, and not from a signal handler."""
        try:
            self._stop()
        finally:
            self._stopping.set()

    def _stop(self) -> None:
        for server in self._servers:
            server.stop()

    def _maintain(self) -> None:
        due = time.monotonic() + _MAINTENANCE_SECONDS
        while not self._stopping.wait(_SLOW_SECONDS):
            for server in self._servers:
                server.end_slow_requests()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + _MAINTENANCE_SECONDS
            try:
                self._maintain_app()
            except Exception:
                _log.exception("maintenance failed; it will be tried again")


def _addresses(host: str) -> list[str]:
    """Return the addresses of a host's name that are this machine's. Raises SkyportError if there is none."""
    advice = "Give an address of this machine with --host."
    # Whatever /etc/hosts says: clients may take either.
    names = ("127.0.0.1", "::1") if host == "localhost" else (host,)
    try:
        found = [
            one
            for name in names
            for one in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        ]
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no name of a machine"
        raise SkyportError(f"cannot listen on {host!r}: {reason}. {advice}") from error
    # IPv4 first, as most clients speak it.
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    ours = dict.fromkeys(str(address[0]) for family, *_, address in found if _is_ours(family, address))
    if not ours:
        raise SkyportError(f"cannot listen on {host!r}: it is not this machine's. {advice}")
    return list(ours)


def _is_ours(family: socket.AddressFamily, address: Any) -> bool:
    """Return whether an address is this machine's: it may know one of a family that it does not speak."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address[0], 0, *address[2:]))
    except OSError:
        return False
    return True


def _address_towards_others(host: str) -> str:
    """Return the address by which other machines know this one; its own if there is no network."""
    family, elsewhere, here = (
        (socket.AF_INET6, "2001:db8::1", "::1") if ":" in host else (socket.AF_INET, "192.0.2.1", "127.0.0.1")
    )
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Nothing is sent: the system only chooses a way, to an address that nobody has.
        probe.connect((elsewhere, 9))
        return str(probe.getsockname()[0])
    return here


def serve(
    app: "WSGIApplication",
    host: str,
    port: int,
    *,
    maintain: Callable[[], object] = lambda: None,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, from the main thread.

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
    # Other C libraries have no such option, and need none.
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
    server = Server(app, host, port, maintain=maintain)

    def stop(number: int, _: object) -> None:
        _log.info("%s: stopping", signal.Signals(number).name)
        threading.Thread(target=server.stop, name="stop").start()

    # `nohup` ignores the last one.
    hangs_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    former = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT, *hangs_up)}
    try:
        ready(server.url)
        server.run()
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
