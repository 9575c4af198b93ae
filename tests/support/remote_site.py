"""A web site with files and git repositories, as labs have them, and with the ways in which servers fail."""

import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.http_server import Authority, http_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

DOCKERFILE = b"FROM scratch\nCOPY . /\n"
_IDENTITY = {
    "GIT_AUTHOR_NAME": "Anna", "GIT_AUTHOR_EMAIL": "anna@example.org", "GIT_AUTHOR_DATE": "2024-02-03T04:05:06Z",
    "GIT_COMMITTER_NAME": "Anna", "GIT_COMMITTER_EMAIL": "anna@example.org", "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_COMMITTER_DATE": "2024-02-03T04:05:06Z",
}  # fmt: skip
COMMIT_TIME = 1706933106


class Site:
    """Files, and repositories: below /git/ through git's own `http-backend`, below /dumb/ as files."""

    def __init__(self, repositories: Path) -> None:
        self.repositories = repositories
        self.files: dict[str, bytes] = {}
        """What is there to fetch, by path."""
        self.answers: dict[str, tuple[str, dict[str, str]]] = {}
        """Status and headers of what is not there, by path."""
        self.bodies: dict[str, Callable[[], Iterable[bytes]]] = {}
        """Bodies that are made as they go, by path."""
        self.requests: list[tuple[str, str, int]] = []
        """Method, path and status, of all that was asked."""
        self.headers: list[dict[str, str]] = []
        self.git_protocol = True
        """Whether git may use the newer protocol, in which any commit can be asked for."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.headers.append({name: value for name, value in environ.items() if name.startswith("HTTP_")})

        def start(status: str, headers: dict[str, str]) -> None:
            self.requests.append((environ["REQUEST_METHOD"], path, int(status[:3])))
            start_response(status, list(headers.items()))

        if path in self.answers:
            status, headers = self.answers[path]
            start(status, headers)
            return [b"no"]
        if path in self.bodies:
            start("200 OK", {})
            return self.bodies[path]()
        if path.startswith("/git/"):
            return self._git(environ, start)
        if path.startswith("/dumb/"):
            file = self.repositories / path.removeprefix("/dumb/")
            start("200 OK" if file.is_file() else "404 Not Found", {})
            return [file.read_bytes() if file.is_file() else b""]
        return self._file(path, environ, start)

    def _file(self, path: str, environ: Any, start: Callable[[str, dict[str, str]], None]) -> Iterable[bytes]:
        content = self.files.get(path)
        if content is None:
            start("404 Not Found", {})
            return [b"<html>no such file</html>"]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if environ.get("HTTP_IF_NONE_MATCH") == etag:
            start("304 Not Modified", {"ETag": etag})
            return []
        start("200 OK", {"ETag": etag, "Content-Type": "text/plain"})
        return [content]

    def _git(self, environ: Any, start: Callable[[str, dict[str, str]], None]) -> Iterable[bytes]:
        names = ("REQUEST_METHOD", "QUERY_STRING", "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_CONTENT_ENCODING")
        passed = {name: environ[name] for name in names if name in environ}
        if self.git_protocol and "HTTP_GIT_PROTOCOL" in environ:
            passed["GIT_PROTOCOL"] = environ["HTTP_GIT_PROTOCOL"]
        done = subprocess.run(
            ["git", "http-backend"], input=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
            capture_output=True, check=False, env={
                "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.repositories), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": environ["PATH_INFO"].removeprefix("/git"), "REMOTE_ADDR": "127.0.0.1",
                "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", **passed,
            },
        )  # fmt: skip
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        start(headers.pop("Status", "200 OK"), headers)
        return [body]


@contextmanager
def remote_site(folder: Path, authority: Authority | None = None) -> Iterator[Site]:
    """Serve a site whose repositories are in the folder."""
    folder.mkdir(exist_ok=True)
    site = Site(folder)
    with http_server(site, authority) as site.port:
        yield site


class Repository:
    """A repository with a working copy, pushed to a bare one that the site serves."""

    def __init__(self, folder: Path, name: str, *options: str) -> None:
        self.bare = folder / f"{name}.git"
        self.work = folder / f"{name}.work"
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", *options, str(self.bare))
        git(folder, "init", "--quiet", "--initial-branch=main", *options, str(self.work))

    def commit(self, files: dict[str, str | None], *, branch: str = "main") -> str:
        """Write files, or remove those that are None, commit them and push; return the commit."""
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            if content is not None:
                path.write_text(content)
        return self.push(branch)

    def push(self, branch: str = "main") -> str:
        """Commit the working copy as it is, and push it."""
        git(self.work, "add", "--all")
        git(self.work, "commit", "--quiet", "--allow-empty", "--message", "as it is")
        git(self.work, "push", "--quiet", "--force", str(self.bare), f"HEAD:refs/heads/{branch}")
        git(self.bare, "update-server-info")
        return git(self.work, "rev-parse", "HEAD")


def git(folder: Path, *arguments: str) -> str:
    """Run git as someone of the lab and return what it printed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env={**os.environ, **_IDENTITY}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def dripping(stop: threading.Event, every: float = 0.1) -> Iterator[bytes]:
    """Yield a byte now and then, until told to stop."""
    while not stop.wait(every):
        yield b"#"
