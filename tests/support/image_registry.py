"""A registry of images that are made by hand, with the ways in which registries fail; and Debian's docker-registry."""

import base64
import gzip
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from skyport_wf.image.distribution.manifests import Flavour
from tests.support.docker_archives import Image, sha256
from tests.support.http_server import Authority, http_server
from tests.support.timing import wait_until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

INDEX = "application/vnd.oci.image.index.v1+json"
USER, PASSWORD = "anna", "secret"
_HASHED = "$2b$04$2Byf0gPWkYMfyre9FWKUhuqTsv8Yd/G5uKXe9ohEjmI4zf5lw3eDy"
Compress = Callable[[bytes], bytes]


def gzipped(layer: bytes) -> bytes:
    return gzip.compress(layer, 1, mtime=0)


def describe(image: Image, blobs: Iterable[bytes], *, layer_type: str = "", flavour: Flavour = Flavour.OCI) -> bytes:
    """Return the manifest of an image with these blobs as layers."""
    manifest_type, config_type, usual = flavour.value
    document = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": {"mediaType": config_type, "size": len(image.config), "digest": image.image_id},
        "layers": [
            {"mediaType": layer_type or usual, "size": len(blob), "digest": f"sha256:{sha256(blob)}"} for blob in blobs
        ],
    }
    return json.dumps(document).encode()


class ImageRegistry:
    """A registry with what it was given. Everything that it is asked for is remembered."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        """Manifests and blobs, by path below `/v2/`."""
        self.types: dict[str, str] = {}
        """Media types of manifests, by path."""
        self.answers: dict[str, Callable[[WSGIEnvironment], tuple[str, dict[str, str], Iterable[bytes]]]] = {}
        """Makes what is answered in the place of a file."""
        self.has_ranges = True
        self.wants_login = False
        self.realm = ""
        """Where a token is to be had, if not here."""
        self.challenge = 'Bearer realm="{}",service="here"'
        """What it asks for who wants a login, with the realm put in; a line for each header."""
        self.requests: list[tuple[str, str, str | None]] = []
        """Method, path, authorization."""
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add(
        self, name: str, image: Image, *, compress: Compress = gzipped, layer_type: str = "", **how: Any
    ) -> tuple[str, list[bytes]]:
        """Take an image under REPO:TAG; return the digest of its manifest, and its compressed layers."""
        repository, _, tag = name.rpartition(":")
        blobs = [compress(layer) for layer in image.layers]
        for blob in (image.config, *blobs):
            self.files[f"{repository}/blobs/sha256:{sha256(blob)}"] = blob
        manifest = describe(image, blobs, layer_type=layer_type, **how)
        return self.add_manifest(repository, tag, manifest, Flavour.OCI.media_type), blobs

    def add_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> str:
        digest = f"sha256:{sha256(content)}"
        for reference in (tag, digest):
            path = f"{repository}/manifests/{reference}"
            self.files[path], self.types[path] = content, media_type
        return digest

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path, authorization = environ["PATH_INFO"].removeprefix("/v2/"), environ.get("HTTP_AUTHORIZATION")
        self.requests.append((environ["REQUEST_METHOD"], path, authorization))
        status, headers, body = self._answer(environ, path, authorization)
        start_response(status, [(name, one) for name, value in headers.items() for one in value.split("\n")])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else body

    def _answer(
        self, environ: "WSGIEnvironment", path: str, authorization: str | None
    ) -> tuple[str, dict[str, str], Iterable[bytes]]:
        basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if path == "/token":
            told = json.dumps({"token": "for-the-owner" if authorization == basic else "for-anybody"})
            return "200 OK", {}, [told.encode()]
        if self.wants_login and authorization != "Bearer for-the-owner":
            realm = self.realm or f"http://{self.host}/token"
            return "401 Unauthorized", {"WWW-Authenticate": self.challenge.format(realm)}, [b"no"]
        if path in self.answers:
            return self.answers[path](environ)
        content = self.files.get(path)
        if content is None:
            return "404 Not Found", {}, [b"no"]
        headers = {"Docker-Content-Digest": f"sha256:{sha256(content)}", "Content-Type": self.types.get(path, "x/x")}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", environ.get("HTTP_RANGE", ""))
        if asked and self.has_ranges:
            start, stop = int(asked[1]), int(asked[2] or len(content) - 1) + 1
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
            return "206 Partial Content", headers, [content[start:stop]]
        return "200 OK", {**headers, "Content-Length": str(len(content))}, [content]


@contextmanager
def image_registry(authority: Authority | None = None) -> Iterator[ImageRegistry]:
    """Serve a registry on loopback; with TLS if there is an authority."""
    registry = ImageRegistry()
    with http_server(registry, authority) as port:
        registry.port = port
        yield registry


class DockerRegistry:
    """Debian's docker-registry, and someone who pushes to it."""

    def __init__(self, host: str, *, login: bool) -> None:
        self.host = host
        self._login = (USER, PASSWORD) if login else None

    def push(self, name: str, image: Image, *, compress: Compress = gzipped, **how: Any) -> str:
        """Push an image as REPO:TAG, and return the digest of its manifest."""
        repository, _, tag = name.rpartition(":")
        blobs = [compress(layer) for layer in image.layers]
        for blob in (image.config, *blobs):
            self._put_blob(repository, blob)
        manifest = describe(image, blobs, **how)
        return self.put_manifest(repository, tag, manifest, json.loads(manifest)["mediaType"])

    def put_manifest(self, repository: str, tag: str, content: bytes, media_type: str) -> str:
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", content, media_type)
        return f"sha256:{sha256(content)}"

    def _put_blob(self, repository: str, blob: bytes) -> None:
        begun = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
        self._ask("PUT", f"{begun.headers['Location']}&digest=sha256:{sha256(blob)}", blob)

    def _ask(self, method: str, path: str, content: bytes = b"", media_type: str = "") -> requests.Response:
        url = path if "://" in path else f"http://{self.host}{path}"
        headers = {"Content-Type": media_type or "application/octet-stream"}
        answer = requests.request(method, url, data=content, headers=headers, auth=self._login, timeout=60)
        answer.raise_for_status()
        return answer


@contextmanager
def docker_registry(folder: Path, *, login: bool = False) -> Iterator[DockerRegistry]:
    """Run docker-registry on loopback, its files in a folder."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        host = f"127.0.0.1:{unused.getsockname()[1]}"
    auth = ""
    if login:
        (folder / "users").write_text(f"{USER}:{_HASHED}\n")
        auth = f"auth: {{htpasswd: {{realm: here, path: {folder}/users}}}}\n"
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '{host}'}}\n{auth}"
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")],
        env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: _answers(host))
            yield DockerRegistry(host, login=login)
        finally:
            process.terminate()


def _answers(host: str) -> bool:
    try:
        return requests.get(f"http://{host}/v2/", timeout=5).status_code in (200, 401)
    except requests.ConnectionError:
        return False
