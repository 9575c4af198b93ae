"""A WSGI application behind Werkzeug's own server: with TLS if need be, and as a client's HTTP proxy."""

import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class _Silent(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Nothing; the tests say what they saw."""


class Authority(NamedTuple):
    """A certificate authority of our own, and the certificate that it gave to a server."""

    certificates: Path
    server_certificate: Path
    server_key: Path


class Recording:
    """Passes requests on to an application, and remembers them."""

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self.authorizations: set[str | None] = set()
        self.hosts: set[str] = set()
        self.answers: list[tuple[str, str, int]] = []
        """Method, path and status."""

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        self.authorizations.add(environ.get("HTTP_AUTHORIZATION"))
        self.hosts.add(environ["HTTP_HOST"])

        def start(status: str, headers: list[tuple[str, str]], *rest: object) -> object:
            self.answers.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], int(status[:3])))
            return start_response(status, headers, *rest)  # type: ignore[arg-type]

        return self._app(environ, start)  # type: ignore[arg-type]


@contextmanager
def http_server(app: "WSGIApplication", authority: Authority | None = None) -> Iterator[int]:
    """Serve the application on 127.0.0.1; yield the port."""
    tls = (str(authority.server_certificate), str(authority.server_key)) if authority else None
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent, ssl_context=tls)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_authority(folder: Path, *, name: str = "IP:127.0.0.1") -> Authority:
    """Make an authority, and a certificate of it for the server that `name` means."""
    folder.mkdir()
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    ca, key = folder / "authority.pem", folder / "authority.key"
    extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    _openssl(*new, *extensions, "-subj", "/CN=The lab's authority", "-out", str(ca), "-keyout", str(key))
    certificate, server_key = folder / "server.pem", folder / "server.key"
    extensions = ["-addext", f"subjectAltName={name}", "-addext", "basicConstraints=critical,CA:FALSE"]
    _openssl(
        *new, *extensions, "-subj", "/CN=shock", "-out", str(certificate), "-keyout", str(server_key),
        "-CA", str(ca), "-CAkey", str(key),
    )  # fmt: skip
    return Authority(ca, certificate, server_key)


def _openssl(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
