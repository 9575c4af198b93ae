"""A WSGI application behind the package's own server."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from skyport_wf.serving.server import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


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
