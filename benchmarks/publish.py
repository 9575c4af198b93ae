"""How long publishing takes, beside the commands that it replaces. Run by hand; prints a table.

    python benchmarks/publish.py [--image NAME] [--runs N]

Needs an engine with an image of 300 MB or more (benchmarks/Dockerfile makes one), gzip and curl. All ways are
timed as whole commands, in turn, against one Shock served on this machine, so that what else the machine does hits
all of them alike. Quoted are medians.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SKYPORT = str(Path(sys.executable).parent / "skyport-wf")
BY_HAND = """
docker save "$IMAGE" >f.tar
gzip f.tar
curl -sf -H "Authorization: OAuth $KB_AUTH_TOKEN" -F upload=@f.tar.gz "$SHOCK_URL/node" >node.json
"""
WAYS = {
    "docker save >/dev/null": ["sh", "-c", 'docker save "$IMAGE" >/dev/null'],
    "docker save, gzip, curl": ["sh", "-ec", BY_HAND],
    "skyport-wf publish": [SKYPORT, "publish", "--all", "--quiet"],
}
STARTS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "skyport-wf --version": [SKYPORT, "--version"],
}


def main() -> None:
    """Time every way in turn and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", default="skyport-bench/velvet:1")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as variables:
        environment = {**os.environ, **variables, "IMAGE": args.image}
        seconds = {way: [0.0] * 0 for way in (*WAYS, *STARTS)}
        memory = dict.fromkeys(seconds, 0)
        for run in range(args.runs + 1):
            for way, command in (WAYS | STARTS).items():
                took, peak = timed(command, fresh_folder(Path(folder), args.image, run), environment)
                if run:  # the first warms up
                    seconds[way].append(took)
                    memory[way] = max(memory[way], peak)
    report(args.image, seconds, memory)


def fresh_folder(parent: Path, image: str, run: int) -> Path:
    """Return an empty folder with an image list of one name that was not published before."""
    folder = parent / "work"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    name = f"bench/run:{run}-{time.monotonic_ns()}"
    (folder / "images.yaml").write_text(f"images:\n  - name: {name}\n    image: {image}\n    replace: true\n")
    return folder


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """Serve an empty store, and yield the variables of someone who may write there."""
    store = folder / "store"
    token = "benchmark-token"
    subprocess.run(
        [SKYPORT, "user", "add", "bench", "--token", token, "--data", store], check=True, capture_output=True
    )
    command = [SKYPORT, "serve", "--port", "0", "--data", str(store), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            url = next(line.split('"')[3] for line in server.stdout if '"url"' in line)
            yield {"SHOCK_URL": url, "KB_AUTH_TOKEN": token}
        finally:
            server.terminate()


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, int]:
    """Return how many seconds a command took, and the peak memory of the largest of its processes in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return took, usage.ru_maxrss * 1024


def report(image: str, seconds: dict[str, list[float]], memory: dict[str, int]) -> None:
    """Print the medians, and how they compare."""
    size = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{.Size}}", image], check=True, capture_output=True, text=True
    )
    print(f"{image}, {int(size.stdout) / 1e6:.0f} MB\n")
    middle: Callable[[str], float] = lambda way: statistics.median(seconds[way])  # noqa: E731
    for way, runs in seconds.items():
        print(f"{way:26} {middle(way):7.3f} s  ({min(runs):.3f}-{max(runs):.3f})   {memory[way] / 1e6:5.0f} MB")
    publish, start = middle("skyport-wf publish"), middle("skyport-wf --version")
    print(f"\npublish / docker save, gzip, curl  {publish / middle('docker save, gzip, curl'):.2f}  (at most 0.25)")
    print(f"publish / docker save              {publish / middle('docker save >/dev/null'):.2f}  (at most 2)")
    print(f"--version / python -c pass         {start / middle('python -c pass'):.2f}  (at most 6)")


if __name__ == "__main__":
    main()
