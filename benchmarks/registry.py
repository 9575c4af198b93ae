"""How fast the registry is, beside Debian's docker-registry and with nginx in front. Run by hand; prints a table.

    python benchmarks/registry.py [--runs N] [--megabytes N] [--pulls N]

Needs skopeo, docker-registry and nginx (as Debian names the packages), and no engine. Everything listens on the
loopback interface and keeps its data in one temporary folder (TMPDIR names another disk). What is compared takes turns,
so that whatever else the machine does hits all of it alike. Quoted are medians, in seconds unless it says otherwise.
"""

import argparse
import gzip
import hashlib
import http.client
import io
import json
import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user

SKYPORT = str(Path(sys.executable).parent / "skyport-wf")
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_REGISTRY = """
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {folder}/docker-registry}}}}
http: {{addr: 127.0.0.1:{port}}}
"""
NGINX = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    proxy_cache_path {folder}/cache keys_zone=images:10m max_size=100g inactive=1h;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header Host $http_host;
            proxy_http_version 1.1;
            proxy_cache images;
            proxy_cache_lock on;
        }}
    }}
}}
"""


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--pulls", type=int, default=64)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as opened:
        folder = Path(name)
        token = make_user(folder / "store")
        ours = opened.enter_context(skyport(folder, "--data", str(folder / "store")))
        gateway = opened.enter_context(skyport(folder, "--shock", f"http://127.0.0.1:{ours[0]}", "--no-redirect"))
        theirs = opened.enter_context(docker_registry(folder))
        cached = opened.enter_context(nginx(folder, gateway[0]))
        servers = {"skyport-wf": ours[0], "docker-registry": theirs[0]}
        creds = f"x:{token}"
        base = write_image(folder / "base", [random_layer(args.megabytes, 1)])

        # Clients remember where they have pushed a layer: to see one sent, it has to be a new one.
        new = [write_image(folder / f"new-{run}", [random_layer(args.megabytes, 2 + run)]) for run in range(args.runs)]
        report(
            "push a new image",
            measure(args.runs, servers, lambda port, run: push(new[run], port, f"new-{run}:1", creds)),
        )
        push(base, ours[0], "bench/push-0:1", creds)
        push(base, theirs[0], "bench/push-0:1", creds)
        again = measure(args.runs, servers, lambda port, run: push(base, port, f"bench/push-{run + 1}:1", creds))
        report("push an image whose layers are there", again)
        changed = [write_image(folder / f"changed-{run}", [base, small_layer(run)]) for run in range(args.runs)]
        tops = measure(args.runs, servers, lambda port, run: push(changed[run], port, f"bench/top-{run}:1", creds))
        report("push a changed top layer", tops)
        size_before = used(folder / "store")
        report("pull an image", measure(args.runs, servers, lambda port, _: pull(port, "bench/push-0", folder)))
        everything = servers | {"gateway": gateway[0], "gateway behind nginx": cached[0]}
        at_once = measure(3, everything, lambda port, _: pull_many(port, "bench/push-0", args.pulls))
        report(f"{args.pulls} pulls at once", at_once)
        total = args.pulls * args.megabytes
        rates = {name: total / statistics.median(times) for name, times in at_once.items()}
        print("  MB/s:", ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items()))
        print(f"the store grew by {used(folder / 'store') - size_before} bytes while images were pulled")
        for label, server in (("skyport-wf", ours), ("gateway", gateway), ("docker-registry", theirs)):
            print(f"memory of {label}: {peak_memory(server[1]) / 1e6:.0f} MB")


def measure(
    runs: int, servers: dict[str, int], action: Callable[[int, int], object]
) -> dict[str, list[float]]:  # fmt: skip
    """Return how long an action took on each server, which take turns."""
    times: dict[str, list[float]] = {name: [] for name in servers}
    for run in range(runs):
        for name, port in servers.items():
            began = time.perf_counter()
            action(port, run)
            times[name].append(time.perf_counter() - began)
    return times


def report(what: str, times: dict[str, list[float]]) -> None:
    """Print the median of each server."""
    print(f"{what}: " + ", ".join(f"{name} {statistics.median(found):.3f}" for name, found in times.items()))


def push(image: Path, port: int, name: str, creds: str) -> None:
    """Push an image with skopeo."""
    skopeo(
        "copy", f"--dest-creds={creds}", "--dest-tls-verify=false", f"dir:{image}", f"docker://127.0.0.1:{port}/{name}"
    )


def pull(port: int, repository: str, folder: Path) -> None:
    """Pull an image with skopeo into a folder."""
    shutil.rmtree(folder / "pulled", ignore_errors=True)
    skopeo("copy", "--src-tls-verify=false", f"docker://127.0.0.1:{port}/{repository}:1", f"dir:{folder}/pulled")


def skopeo(*arguments: str) -> None:
    """Run skopeo."""
    subprocess.run(["skopeo", *arguments], check=True, capture_output=True)


def pull_many(port: int, repository: str, count: int) -> None:
    """Pull an image so many times at once, into nothing."""
    manifest = json.loads(b"".join(read(port, f"/v2/{repository}/manifests/1")))
    path = f"/v2/{repository}/blobs/{manifest['layers'][0]['digest']}"
    wrong: list[int] = []

    def one() -> None:
        size = sum(map(len, read(port, path)))
        if size != manifest["layers"][0]["size"]:
            wrong.append(size)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        sys.exit(f"pulls broke off: {wrong}")


def read(port: int, path: str) -> Iterator[bytes]:
    """Yield what a registry answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Accept": OCI_MANIFEST})
    answer = connection.getresponse()
    if answer.status != http.HTTPStatus.OK:
        sys.exit(f"{path}: {answer.status} {answer.read().decode()}")
    while piece := answer.read(1 << 18):
        yield piece
    connection.close()


def random_layer(megabytes: int, seed: int) -> bytes:
    """Return a layer that compresses to about half, as those of images do."""
    noise = random.Random(seed)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number in range(megabytes):
            info = tarfile.TarInfo(f"usr/lib/file-{number}")
            info.size = 1 << 20
            tar.addfile(info, io.BytesIO(noise.randbytes(1 << 19) + bytes(range(256)) * (1 << 11)))
    return out.getvalue()


def small_layer(seed: int) -> bytes:
    """Return a layer of one small file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("opt/changed")
        info.size = 1000
        tar.addfile(info, io.BytesIO(random.Random(f"top {seed}").randbytes(1000)))
    return out.getvalue()


def write_image(folder: Path, layers: list[bytes | Path]) -> Path:
    """Write an image as skopeo's `dir:`, and return its folder. layers: tars, or the folder of an image."""
    folder.mkdir()
    descriptors, diff_ids = [], []
    for layer in layers:
        if isinstance(layer, Path):
            below = json.loads((layer / "manifest.json").read_bytes())
            diff_ids += json.loads((layer / name_of(below["config"])).read_bytes())["rootfs"]["diff_ids"]
            descriptors += below["layers"]
            for descriptor in below["layers"]:
                shutil.copy(layer / name_of(descriptor), folder)
        else:
            diff_ids.append(f"sha256:{hashlib.sha256(layer).hexdigest()}")
            descriptors.append(write_blob(folder, gzip.compress(layer, 1), "layer.v1.tar+gzip"))
    document = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    config = write_blob(folder, json.dumps(document).encode(), "config.v1+json")
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": descriptors}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    return folder


def write_blob(folder: Path, content: bytes, kind: str) -> dict[str, object]:
    """Write a blob, and return its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    (folder / digest).write_bytes(content)
    return {"mediaType": f"application/vnd.oci.image.{kind}", "size": len(content), "digest": f"sha256:{digest}"}


def name_of(descriptor: dict[str, str]) -> str:
    """Return the name of the file of a blob."""
    return descriptor["digest"].removeprefix("sha256:")


def make_user(data: Path) -> str:
    """Return the token of a new user of the store."""
    with open_store(data) as store:
        return add_user(store.database, "bench")


@contextmanager
def skyport(folder: Path, *options: str) -> Iterator[tuple[int, int]]:
    """Yield port and process of a server of ours."""
    variables = {**os.environ, "SKYPORT_CACHE": str(folder / "made")}
    with running(
        [SKYPORT, "serve", "--json", "--port", "0", *options], env=variables, stdout=subprocess.PIPE
    ) as process:
        lines = ""
        while "}" not in lines:
            lines += process.stdout.readline().decode()  # type: ignore[union-attr]
        yield int(json.loads(lines)["url"].rpartition(":")[2]), process.pid


@contextmanager
def docker_registry(folder: Path) -> Iterator[tuple[int, int]]:
    """Yield port and process of Debian's docker-registry."""
    port = free_port()
    (folder / "docker-registry.yml").write_text(DOCKER_REGISTRY.format(folder=folder, port=port))
    with running(["docker-registry", "serve", str(folder / "docker-registry.yml")]) as process:
        wait_for(port)
        yield port, process.pid


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[tuple[int, int]]:
    """Yield port and process of an nginx with a cache before the server at another port."""
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX.format(folder=folder, port=port, upstream=upstream, user=user)
    (folder / "nginx.conf").write_text(text)
    with running(["nginx", "-c", str(folder / "nginx.conf")]) as process:
        wait_for(port)
        yield port, process.pid


@contextmanager
def running(command: list[str], **how: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as long as the block lasts."""
    how = {"stdout": subprocess.DEVNULL, **how}
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **how)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until something listens at a port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.05)


def peak_memory(process: int) -> int:
    """Return the most bytes that a process had in memory."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found
    return int(found[1]) * 1024


def used(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
