"""Archives that were made to do harm, many of them endless; run by itself, this does to each what a step does.

`python -m tests.support.hostile_archives STEP FOLDER` prints what was said of each, after how many seconds and with
what left in the folder, and the peak of this process's memory in MB.
"""

import gzip
import itertools
import json
import re
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.support.docker_archives import (
    Image,
    file_member,
    layer_tar,
    legacy,
    manifest_of,
    member,
    oci,
    sha256,
    tar_of,
)

MIB = 1 << 20
NOTHING = "nothing is wrong"


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros() -> Iterator[bytes]:
    return itertools.repeat(bytes(MIB))


def gzipped_zeros() -> bytes:
    """Return one gzip member of 10 MB; a gzip file may have any number of them."""
    return gzip.compress(bytes(10**7), 9, mtime=0)


def layer_bomb() -> Iterator[bytes]:
    """An archive with a compressed layer of 10 TB."""
    bomb = gzipped_zeros()
    size = len(bomb) * 1_000_000
    yield header("blobs/sha256/bomb", size=size)
    yield from itertools.repeat(bomb, 1_000_000)
    yield bytes(-size % 512)


def many_layer_bombs() -> Iterator[bytes]:
    """An archive without end of compressed layers none of which is suspicious by itself."""
    bomb = gzipped_zeros()
    for number in itertools.count():
        yield header(f"{number}/layer.tar", size=len(bomb)) + bomb + bytes(-len(bomb) % 512)


def outer_bomb() -> Iterator[bytes]:
    """A gzip file of an archive with a layer of zeros without end."""
    yield gzip.compress(header("0/layer.tar", size=1 << 50))
    yield from itertools.repeat(gzipped_zeros())


def layers_without_end() -> Iterator[bytes]:
    layer = layer_tar({"text": b"a layer like others, " * 500_000})
    for number in itertools.count():
        yield header(f"{number}/layer.tar", size=len(layer)) + layer + bytes(-len(layer) % 512)


def many_documents() -> Iterator[bytes]:
    document = b"{" + b" " * 999_424
    for number in itertools.count():
        yield header(f"{number}", size=len(document)) + document + bytes(-len(document) % 512)


def many_empty_layers() -> Iterator[bytes]:
    """A whole image of as many layers as an archive may have members."""
    layers = [f"{number}.tar" for number in range(9_990)]
    empty = f"sha256:{sha256(b'')}"
    for name in layers:
        yield header(name)
    config = json.dumps({"rootfs": {"diff_ids": [empty] * len(layers)}}).encode()
    manifest = manifest_of("config.json", layers)
    yield tar_of([file_member("config.json", config), file_member("manifest.json", manifest)])


KINDS: dict[str, tuple[Callable[[], Iterable[bytes]], str]] = {
    "absolute name": (lambda: [header("/etc/passwd"), bytes(1024)], "is not a docker archive: it has no manifest.json"),
    "name that leads up": (lambda: [header("a/../../up"), bytes(1024)], "names 'a/../../up', a path outside of it"),
    "link that leads out": (
        lambda: [tar_of([member("a/layer.tar", tarfile.SYMTYPE, target="../../etc/shadow")])],
        "names 'a/../../etc/shadow', a path outside of it",
    ),
    "hard link that leads out": (
        lambda: [tar_of([member("a/layer.tar", tarfile.LNKTYPE, target="../etc/shadow")])],
        "names '../etc/shadow', a path outside of it",
    ),
    "device": (
        lambda: [tar_of([member("sda", tarfile.BLKTYPE)])],
        "holds 'sda', which is neither file, folder nor link",
    ),
    "million members": (
        lambda: (header(f"{number}", tarfile.DIRTYPE) for number in range(10**6)),
        "has more than 10,000 members",
    ),
    "million layers": (
        lambda: (header(f"{number}.tar") for number in range(10**6)),
        "has more than 10,000 members",
    ),
    "header of 1 GB": (
        lambda: itertools.chain([header("x", tarfile.XHDTYPE, 10**9)], zeros()),
        "has an extension header of 1,000,000,000 bytes",
    ),
    "lying size": (
        lambda: [header("0/layer.tar", size=1 << 50), layer_tar({"a": b"1"})],
        "breaks off before its end",
    ),
    "documents without end": (many_documents, "the archive unpacks to more than 0.4 GB"),
    "layer bomb": (layer_bomb, "bomb unpacks to more than 0.2 GB, 200 times its size. It is no image"),
    "many layer bombs": (many_layer_bombs, "the archive unpacks to more than 0.4 GB. It is no image"),
    "outer bomb": (outer_bomb, "the archive unpacks to more than 0.2 GB, 200 times its size. It is no image"),
    "zeros without end": (
        lambda: itertools.chain([header("0/layer.tar", size=1 << 50)], zeros()),
        "the archive unpacks to more than 0.4 GB. It is no image",
    ),
    "layers without end": (layers_without_end, "the archive unpacks to more than 0.4 GB. It is no image"),
    "trailing zeros without end": (
        lambda: itertools.chain([tar_of(legacy(Image((layer_tar({"a": b""}),))))], zeros()),
        "goes on after its end",
    ),
    "thousands of layers": (many_empty_layers, NOTHING),
    "whole image": (lambda: [tar_of(oci(Image((layer_tar({"a": b""}),))))], NOTHING),
}  # fmt: skip
"""What is done to whoever reads the archive, and what is said of it then."""


def lower_the_limits() -> None:
    """Make the limits small enough for a test to reach them; what they are by default is tested by itself."""
    from skyport_wf.image.archive import limits

    limits.MAX_UNPACKED, limits.EXPANSION_ABOVE = 4 * 10**8, 2 * 10**8  # type: ignore[misc]


def do(step: str, kind: str, folder: Path) -> None:
    from skyport_wf.byte_streams import ChunkReader
    from skyport_wf.image.archive.canonical import canonical_file, save_canonical
    from skyport_wf.image.archive.normalise import NormalisedStream
    from skyport_wf.image.archive.reader import inspect_archive
    from skyport_wf.image.archive.stream import ArchiveStream
    from skyport_wf.image_list.reference import parse_reference

    stream = ArchiveStream(ChunkReader(KINDS[kind][0]()), name="the archive")
    reference = parse_reference("skyport/tool:1.0")
    if step == "describe":
        inspect_archive(stream)
    elif step == "save":
        save_canonical(stream, reference, folder / "image.tar.gz")
    elif step == "publish thin":
        with canonical_file(stream, reference, folder):
            pass
    else:
        for _ in NormalisedStream(stream, reference):
            pass


def peak() -> int:
    """Return the peak of the process's memory in MB; not ru_maxrss, which starts with the parent's at the fork."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) // 1024 if found else 0


def main(step: str, folder: Path) -> None:
    from skyport_wf.errors import ArchiveError

    lower_the_limits()
    found = {}
    for kind in KINDS:
        said, begin = NOTHING, time.process_time()
        try:
            do(step, kind, folder)
        except ArchiveError as error:
            said = str(error)
        left = sorted(path.name for path in folder.iterdir())
        found[kind] = {"said": said, "seconds": time.process_time() - begin, "left": left}
        (folder / "image.tar.gz").unlink(missing_ok=True)
    print(json.dumps({"found": found, "peak": peak()}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
