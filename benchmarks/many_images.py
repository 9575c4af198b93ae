"""How long the verbs that look at many images take. Run by hand; prints a table.

    python benchmarks/many_images.py [--images N ...] [--runs N] [--served]

One image with 400 packages is published to an embedded Shock; then its node is there as many times, under other names.
`status` and `verify` are measured up to 1,000 images, as no image list or lock file has more. With `--served`, the
store is asked over HTTP, by a process of its own. Quoted are medians, of whole commands: seconds that went by, and
those of a processor, which hold also while the machine has other work.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import msgspec

from skyport_wf.store.database import timestamp
from skyport_wf.store.opening import open_store
from skyport_wf.store.rows import find_node, insert_node

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.docker_archives import Image, layer_tar, legacy, tar_of  # noqa: E402

SKYPORT = str(Path(sys.executable).parent / "skyport-wf")
NAME = "lab/tool{}:1"
STATUS = "".join(f"Package: lib{number}\nVersion: 1.{number}-1\nArchitecture: amd64\n\n" for number in range(400))
VERBS = (
    ("ls",), ("ls", "--long"), ("find", "--package", "lib7", "<3"), ("du",), ("status",),
    ("verify",),
)  # fmt: skip
_MOST_LISTED = 1000


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, nargs="+", default=[300, 10_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--served", action="store_true")
    args = parser.parse_args()
    for number in args.images:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            fill(folder, number)
            with asked(folder, served=args.served) as variables:
                print(f"{number:,} images{', over HTTP' if args.served else ''}")
                for verb in VERBS:
                    if verb[0] in ("status", "verify") and number > _MOST_LISTED:
                        continue
                    seconds = [run(folder, variables, *verb) for _ in range(args.runs)]
                    passed, worked = map(statistics.median, zip(*seconds, strict=True))
                    print(f"  {' '.join(verb):32} {passed:6.2f} s  {worked:6.2f} s of a processor")


def fill(folder: Path, number: int) -> None:
    """Publish an image, and let there be as many nodes of it as are asked for, each with a name of its own."""
    image = Image((layer_tar({"var/lib/dpkg/status": STATUS.encode(), "bin/bash": b"x"}),))
    (folder / "image.tar").write_bytes(tar_of(legacy(image, tags=[NAME.format(0)])))
    entries = [{"name": NAME.format(at), "archive": "image.tar"} for at in range(min(number, _MOST_LISTED))]
    (folder / "images.yaml").write_text(json.dumps({"images": entries}))
    run(folder, environment(folder), "publish", NAME.format(0))
    lock = json.loads((folder / "images.lock.json").read_text())
    (entry,) = lock["images"].values()
    with open_store(folder / "store") as store, store.database.write() as connection:
        found = find_node(connection, entry["node"], timestamp())
        assert found
        first = found[1]
        attributes = json.loads(bytes(first.attributes))
        for at in range(1, number):
            name = NAME.format(at)
            mine = {**attributes, "name": name, "repository": name.split(":")[0]}
            node = msgspec.structs.replace(
                first,
                id=str(uuid4()),
                attributes=msgspec.Raw(json.dumps(mine).encode()),
                created_on=timestamp(),
            )
            insert_node(connection, node)
            if at < _MOST_LISTED:
                lock["images"][name] = {**entry, "node": node.id}
    (folder / "images.lock.json").write_text(json.dumps(lock))


def environment(folder: Path) -> dict[str, str]:
    """Return the variables that mean the store in the folder; compiled files are kept, as where users install."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "SKYPORT_DATA": str(folder / "store"), "SHOCK_URL": ""}


@contextmanager
def asked(folder: Path, *, served: bool) -> Iterator[dict[str, str]]:
    """Yield the variables with which a command asks the store."""
    if not served:
        yield environment(folder)
        return
    command = [SKYPORT, "serve", "--port", "0", "--data", str(folder / "store"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stdout
            url = next(line.split('"')[3] for line in server.stdout if '"url"' in line)
            yield {**environment(folder), "SHOCK_URL": url}
        finally:
            server.terminate()


def run(folder: Path, variables: dict[str, str], *verb: str) -> tuple[float, float]:
    """Return how many seconds a command takes, and how many of a processor."""
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [SKYPORT, *verb, "--quiet"], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    passed, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return passed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
