"""How fast the embedded Shock is when it is served, beside nginx. Run by hand; prints tables.

    python benchmarks/shock_store.py transfers [--runs N] [--megabytes N]
    python benchmarks/shock_store.py queries [--nodes N]
    python benchmarks/shock_store.py memory

`transfers` needs curl and an nginx with WebDAV (Debian's nginx-full or nginx-extras). Everything listens on the
loopback interface and keeps its data in one temporary folder (TMPDIR names another disk). What is compared takes
turns, so that whatever else the machine does hits all of it alike. Quoted are medians.
"""

import argparse
import hashlib
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import msgspec

from skyport_wf.store.access import PUBLIC, Acl
from skyport_wf.store.database import timestamp
from skyport_wf.store.files import Content
from skyport_wf.store.node import StoredNode
from skyport_wf.store.opening import open_store
from skyport_wf.store.rows import insert_node
from skyport_wf.store.users import add_user

SKYPORT = str(Path(sys.executable).parent / "skyport-wf")
TOKEN = "benchmark-token"
NGINX = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 0;
    client_body_temp_path {folder}/dav/.incoming;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/dav;
        location / {{ dav_methods PUT DELETE; }}
    }}
}}
"""


class Served(NamedTuple):
    """A server that runs."""

    port: int
    """Where, on the loopback interface."""
    process: int
    """Its process id."""


def main() -> None:
    """Run the benchmark that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("transfers", "queries", "memory"))
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--megabytes", type=int, default=300)
    parser.add_argument("--nodes", type=int, default=100_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shock-store-") as folder:
        {"transfers": transfers, "queries": queries, "memory": memory}[args.what](Path(folder), args)


def transfers(folder: Path, args: argparse.Namespace) -> None:
    """Upload and download one file with curl, in turn with nginx and with us."""
    file = folder / "file"
    file.write_bytes(os.urandom(args.megabytes * 1_000_000))
    parts = split(file, 4)
    seconds: dict[str, list[float]] = {}

    def note(what: str, took: float) -> None:
        seconds.setdefault(what, []).append(took)

    with serving_nginx(folder) as nginx, serving(folder / "data") as ours:
        dav, shock = f"http://127.0.0.1:{nginx.port}", f"http://127.0.0.1:{ours.port}"
        for run in range(args.runs + 1):
            put = curl("-T", str(file), f"{dav}/{run}")
            note("nginx: upload", put)
            note("nginx: upload, then md5sum and sync", put + checked(folder / "dav" / str(run)))
            note("nginx: download", curl(f"{dav}/{run}"))
            for way, arguments in {"form": ["-F", f"upload=@{file}"], "body": ["-X", "POST", "-T", str(file)]}.items():
                answer = folder / "answer"
                note(f"ours: upload as a {way}", curl(*authorized(), *arguments, f"{shock}/node", into=answer))
                node = json.loads(answer.read_bytes())["data"]["id"]
                if way == "form":
                    note("ours: download", curl(*authorized(), f"{shock}/node/{node}?download"))
                curl(*authorized(), "-X", "DELETE", f"{shock}/node/{node}")
            curl("-X", "DELETE", f"{dav}/{run}")
            acknowledged, joined = uploaded_in_parts(ours, parts)
            note("ours: upload in parts, all received", acknowledged)
            note("ours: upload in parts, joined", joined)
            note("MD5 alone", hashed(file))
            if not run:  # the first warms up
                seconds.clear()
    report_transfers(args.megabytes, seconds)


def report_transfers(megabytes: int, seconds: dict[str, list[float]]) -> None:
    """Print the medians, and how they compare."""
    middle = {what: statistics.median(runs) for what, runs in seconds.items()}
    for what, runs in sorted(seconds.items()):
        rate = megabytes / middle[what]
        print(f"{what:37} {middle[what]:6.3f} s  ({min(runs):.3f}-{max(runs):.3f})  {rate:6.0f} MB/s")
    print()
    for ours, theirs in (
        ("ours: download", "nginx: download"),
        ("ours: upload as a body", "nginx: upload"),
        ("ours: upload as a form", "nginx: upload"),
        ("ours: upload in parts, all received", "nginx: upload"),
        ("ours: upload in parts, joined", "nginx: upload"),
        ("ours: upload as a form", "nginx: upload, then md5sum and sync"),
        ("MD5 alone", "nginx: upload"),
    ):
        print(f"speed of {ours} / {theirs}: {middle[theirs] / middle[ours]:.2f}")


def split(file: Path, count: int) -> list[Path]:
    """Cut a file into as many parts, and return them."""
    content = file.read_bytes()
    size = -(-len(content) // count)
    parts = [file.with_name(f"part{number}") for number in range(count)]
    for number, part in enumerate(parts):
        part.write_bytes(content[number * size : (number + 1) * size])
    return parts


def uploaded_in_parts(server: Served, parts: list[Path]) -> tuple[float, float]:
    """Upload parts side by side, and return when all were acknowledged, and when they were one file with an MD5."""
    shock = f"http://127.0.0.1:{server.port}/node"
    answer = parts[0].with_name("answer")
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    began = time.perf_counter()
    curl(*authorized(), "-F", f"parts={len(parts)}", shock, into=answer)
    identity = json.loads(answer.read_bytes())["data"]["id"]
    node = f"{shock}/{identity}"
    uploads = [
        subprocess.Popen(["curl", "-sS", "--fail", "-o", "/dev/null", *authorized(), "-X", "PUT", "-F", form, node])
        for form in (f"{number}=@{part}" for number, part in enumerate(parts, start=1))
    ]
    assert not any(upload.wait() for upload in uploads)
    acknowledged = time.perf_counter() - began
    while not is_joined(connection, identity):
        time.sleep(0.005)
    joined = time.perf_counter() - began
    curl(*authorized(), "-X", "DELETE", node)
    return acknowledged, joined


def is_joined(connection: http.client.HTTPConnection, identity: str) -> bool:
    """Return whether a node's parts have become its file."""
    connection.request("GET", f"/node/{identity}", headers={"Authorization": f"OAuth {TOKEN}"})
    return json.load(connection.getresponse())["data"]["file"]["locked"] is None


def queries(folder: Path, args: argparse.Namespace) -> None:
    """Ask what AWE asks of a store with many nodes."""
    fill(folder / "data", args.nodes)
    with serving(folder / "data") as ours:
        connection = http.client.HTTPConnection("127.0.0.1", ours.port)
        unit = None
        for path, count in (
            ("/", 300),
            ("/node/?query&type=dockerimage&name=lab/tool77:1.3", 300),
            ("/node/?query&type=dockerimage&repository=lab/tool77", 300),
            ("/node/?query&type=dockerimage", 30),
            ("/node/?querynode&file.checksum.md5=00000000000000000000000000000000", 300),
        ):
            took = statistics.median(asked(connection, path) for _ in range(count))
            unit = unit or took
            print(f"GET {path:70} {took * 1000:7.2f} ms  {took / unit:6.1f} times GET /")


def memory(folder: Path, args: argparse.Namespace) -> None:
    """Upload many files at once, and look at the server's peak memory."""
    for at_once, megabytes in ((1, 1), (1, 20), (1, 200), (64, 1), (64, 5), (64, 20), (64, 40)):
        data = folder / "data"
        with serving(data) as ours:
            before = peak(ours)
            upload_at_once(ours, at_once, megabytes)
            print(
                f"{at_once:3} uploads of {megabytes:3} MB at once: {before / 1e6:5.0f} MB -> {peak(ours) / 1e6:5.0f} MB"
            )
        shutil.rmtree(data)


def upload_at_once(server: Served, count: int, megabytes: int) -> None:
    """Send that many chunked forms side by side, each to its end."""

    def form() -> Iterator[bytes]:
        piece = os.urandom(1_000_000)
        yield b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n'
        for _ in range(megabytes):
            yield piece
        yield b"\r\n--B--\r\n"

    def upload() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        kind = {"Content-Type": "multipart/form-data; boundary=B", "Authorization": f"OAuth {TOKEN}"}
        chunked = {**kind, "Transfer-Encoding": "chunked"}
        connection.request("POST", "/node", form(), chunked, encode_chunked=True)
        assert connection.getresponse().status == 200

    threads = [threading.Thread(target=upload) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def fill(data: Path, count: int) -> None:
    """Make a store with that many published images, twenty tags each, as rows without files."""
    owner = str(uuid4())
    acl = Acl(owner, (owner, PUBLIC), (owner,), (owner,))
    with open_store(data) as store, store.database.write() as connection:
        for number in range(count):
            repository, tag = f"lab/tool{number // 20}", f"1.{number % 20}"
            attributes = {
                "type": "dockerimage",
                "name": f"{repository}:{tag}",
                "repository": repository,
                "tag": tag,
                "id": "sha256:" + os.urandom(32).hex(),
                "base_image_id": "",
                "base_image_tag": "",
                "dockerfile": os.urandom(300).hex(),
                "docker_version": {"ApiVersion": "1.41", "Arch": "amd64", "Os": "linux", "Version": "20.10"},
            }
            node = StoredNode(
                str(uuid4()),
                acl,
                attributes=msgspec.Raw(json.dumps(attributes).encode()),
                file_name="image.tar.gz",
                content=Content(str(uuid4()), 150_000_000, os.urandom(16).hex()),
                content_since=timestamp(),
                created_on=timestamp(),
            )
            insert_node(connection, node)


@contextmanager
def serving(data: Path) -> Iterator[Served]:
    """Serve the store in the folder with the command that users have."""
    with open_store(data) as store:
        add_user(store.database, "bench", token=TOKEN)
    command = [SKYPORT, "serve", "--port", "0", "--data", str(data), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            url = next(line.split('"')[3] for line in server.stdout if '"url"' in line)
            yield Served(int(url.rpartition(":")[2]), server.pid)
        finally:
            server.terminate()


@contextmanager
def serving_nginx(folder: Path) -> Iterator[Served]:
    """Run an nginx of our own."""
    (folder / "dav" / ".incoming").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(NGINX.format(folder=folder, port=port, user=user))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [nginx, "-c", str(configuration), "-e", str(folder / "nginx.log")]
    with ExitStack() as ending:
        process = ending.enter_context(subprocess.Popen(command))
        ending.callback(process.terminate)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        yield Served(port, process.pid)


def authorized() -> list[str]:
    """Return what curl needs to say who we are."""
    return ["-H", f"Authorization: OAuth {TOKEN}"]


def curl(*arguments: str, into: Path = Path("/dev/null")) -> float:
    """Return how many seconds the whole transfer took."""
    command = ["curl", "-sS", "--fail", "-o", str(into), "-w", "%{time_total}", *arguments]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def checked(path: Path) -> float:
    """Return how long it takes to know a file's MD5 and that the file is on disk: what an upload to us includes."""
    return timed(lambda: subprocess.run(["sh", "-c", f"md5sum '{path}' && sync '{path}'"], check=True, stdout=-3))


def hashed(path: Path) -> float:
    """Return how long MD5 of a file in memory takes."""
    content = path.read_bytes()
    return timed(lambda: hashlib.md5(content, usedforsecurity=False))


def asked(connection: http.client.HTTPConnection, path: str) -> float:
    """Return how long a request takes on a connection that is open."""

    def ask() -> None:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == 200

    return timed(ask)


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def peak(server: Served) -> int:
    """Return the most memory that a process has had, in bytes."""
    status = Path(f"/proc/{server.process}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
