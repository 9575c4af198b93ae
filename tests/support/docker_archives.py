"""Docker archives made by hand, in every layout that engines write."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

REPO_TAG = "skyport/tool:1.0"
File = tuple[tarfile.TarInfo, bytes]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def layer_tar(files: dict[str, bytes]) -> bytes:
    return tar_of([file_member(name, data, mtime=1_600_000_000) for name, data in files.items()])


@dataclass(frozen=True)
class Image:
    """An image of plain layer tars, and the config that fits them."""

    layers: tuple[bytes, ...]
    labels: dict[str, str] = field(default_factory=dict)
    author: str = ""
    architecture: str = "amd64"
    os: str = "linux"

    @property
    def config(self) -> bytes:
        steps = [{"created_by": f"step {number}"} for number in range(len(self.layers))]
        return json.dumps(
            {
                "architecture": self.architecture,
                "author": self.author,
                "config": {"Labels": self.labels or None, "Cmd": ["/bin/bash"]},
                "created": "2024-02-03T04:05:06.789Z",
                "history": [*steps, {"created_by": "CMD bash", "empty_layer": True}],
                "os": self.os,
                "rootfs": {"type": "layers", "diff_ids": self.diff_ids},
            },
            indent=1,
        ).encode()

    @property
    def diff_ids(self) -> list[str]:
        return [f"sha256:{sha256(layer)}" for layer in self.layers]

    @property
    def image_id(self) -> str:
        return f"sha256:{sha256(self.config)}"


def member(name: str, kind: bytes, *, target: str = "", mtime: int = 1_700_000_000) -> File:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mtime = kind, target, mtime
    info.uid, info.gid, info.uname, info.gname = 1000, 100, "alice", "users"
    return info, b""


def file_member(name: str, data: bytes, *, mtime: int = 1_700_000_000) -> File:
    info, _ = member(name, tarfile.REGTYPE, mtime=mtime)
    info.size = len(data)
    return info, data


def tar_of(members: Iterable[File], *, tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tar_format) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def manifest_of(config: str, layers: Sequence[str], tags: Sequence[str] | None = (REPO_TAG,)) -> bytes:
    return json.dumps([{"Config": config, "RepoTags": tags, "Layers": list(layers)}]).encode()


def legacy(image: Image, *, duplicates: str = "symlink", tags: Sequence[str] | None = (REPO_TAG,)) -> list[File]:
    """Docker up to 24: layers sorted by the names of their folders, duplicates as links to another folder's file."""
    folders = [sha256(f"{number} {image.author}".encode()) for number in range(len(image.layers))]
    first: dict[bytes, str] = {}
    members: list[File] = []
    for folder, layer in sorted(zip(folders, image.layers, strict=True)):
        members += [
            member(f"{folder}/", tarfile.DIRTYPE),
            file_member(f"{folder}/VERSION", b"1.0"),
            file_member(f"{folder}/json", b'{"id": "%s"}' % folder.encode()),
        ]
        target = first.setdefault(layer, folder)
        if target == folder or duplicates == "copy":
            members.append(file_member(f"{folder}/layer.tar", layer))
        elif duplicates == "symlink":
            members.append(member(f"{folder}/layer.tar", tarfile.SYMTYPE, target=f"../{target}/layer.tar"))
        else:
            members.append(member(f"{folder}/layer.tar", tarfile.LNKTYPE, target=f"{target}/layer.tar"))
    config = f"{sha256(image.config)}.json"
    layers = [f"{folder}/layer.tar" for folder in folders]
    return [
        *members,
        file_member(config, image.config),
        file_member("manifest.json", manifest_of(config, layers, tags), mtime=0),
        file_member("repositories", b'{"skyport/tool": {"1.0": "%s"}}' % sha256(b"top").encode(), mtime=0),
    ]


def oci(image: Image, *, compress: Callable[[bytes], bytes] | None = None) -> list[File]:
    """Docker 25 and later; with `compress`, containerd's image store."""
    stored = [compress(layer) if compress else layer for layer in image.layers]
    manifest = json.dumps({"schemaVersion": 2, "layers": [sha256(layer) for layer in stored]}).encode()
    blobs = {f"blobs/sha256/{sha256(blob)}": blob for blob in [*stored, image.config, manifest]}
    config = f"blobs/sha256/{sha256(image.config)}"
    layers = [f"blobs/sha256/{sha256(layer)}" for layer in stored]
    return [
        member("blobs/", tarfile.DIRTYPE),
        member("blobs/sha256/", tarfile.DIRTYPE),
        *(file_member(name, blob) for name, blob in sorted(blobs.items())),
        file_member("index.json", b'{"schemaVersion": 2, "manifests": []}'),
        file_member("manifest.json", manifest_of(config, layers), mtime=0),
        file_member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        file_member("repositories", b"{}", mtime=0),
    ]


def oci_archive(
    *images: Image,
    names: Sequence[str] = (REPO_TAG,),
    compress: Callable[[bytes], bytes] = lambda layer: layer,
    platforms: Sequence[str] = (),
) -> list[File]:
    """buildx (`type=oci`), buildah, skopeo: no `manifest.json`; a nested index if there are several platforms.

    platforms: of each image; empty for one whose config alone tells it.
    """
    blobs: dict[str, bytes] = {}

    def add(blob: bytes, kind: str, **more: object) -> dict[str, object]:
        blobs[f"blobs/sha256/{sha256(blob)}"] = blob
        return {"mediaType": kind, "digest": f"sha256:{sha256(blob)}", "size": len(blob), **more}

    manifests = []
    for number, image in enumerate(images):
        layers = [add(compress(layer), "application/vnd.oci.image.layer.v1.tar") for layer in image.layers]
        config = add(image.config, "application/vnd.oci.image.config.v1+json")
        document = json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode()
        more: dict[str, object] = {}
        if platforms and platforms[number]:
            more["platform"] = dict(zip(("os", "architecture", "variant"), platforms[number].split("/"), strict=False))
        elif not platforms:
            more["annotations"] = {"org.opencontainers.image.ref.name": names[number]}
        manifests.append(add(document, "application/vnd.oci.image.manifest.v1+json", **more))
    if platforms:
        about = {"vnd.docker.reference.type": "attestation-manifest"}
        manifests.append(add(b'{"config": {}}', "application/vnd.oci.image.manifest.v1+json", annotations=about))
        nested = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        # containerd and buildx write both.
        named = {
            "io.containerd.image.name": f"docker.io/{names[0]}",
            "org.opencontainers.image.ref.name": names[0].rpartition(":")[2],
        }
        manifests = [add(nested, "application/vnd.oci.image.index.v1+json", annotations=named)]
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    return [
        *(file_member(name, blob) for name, blob in sorted(blobs.items())),
        file_member("index.json", index),
        file_member("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
    ]


@cache
def bzip2(data: bytes) -> bytes:
    """Compress the data; once, as it takes long and many tests have the same layers."""
    return bz2.compress(data)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "--quiet"], input=data, check=True, capture_output=True).stdout


def podman(image: Image) -> list[File]:
    """Podman and skopeo: `DIGEST.tar`, each once, and the folders of old as links to them."""
    distinct = dict.fromkeys(image.layers)
    members = [file_member(f"{sha256(layer)}.tar", layer, mtime=0) for layer in distinct]
    for layer in distinct:
        folder = sha256(layer[:1] + b"folder")
        members += [
            member(f"{folder}/layer.tar", tarfile.SYMTYPE, target=f"../{sha256(layer)}.tar", mtime=0),
            file_member(f"{folder}/VERSION", b"1.0", mtime=0),
            file_member(f"{folder}/json", b"{}", mtime=0),
        ]
    seen: dict[str, File] = {info.name: (info, data) for info, data in members}
    config = f"{sha256(image.config)}.json"
    layers = [f"{sha256(layer)}.tar" for layer in image.layers]
    return [
        *seen.values(),
        file_member(config, image.config, mtime=0),
        file_member("repositories", b"{}", mtime=0),
        file_member("manifest.json", manifest_of(config, layers, [f"localhost/{REPO_TAG}"]), mtime=0),
    ]


def canonical(image: Image, name: str = REPO_TAG) -> bytes:
    """What `save_canonical` has to write, made by other means."""

    def plain(path: str, data: bytes) -> File:
        info = tarfile.TarInfo(path)
        info.size = len(data)
        return info, data

    config = f"{sha256(image.config)}.json"
    layers = [f"{sha256(layer)}.tar" for layer in image.layers]
    entry = {"Config": config, "RepoTags": [name], "Layers": layers}
    manifest = json.dumps([entry], separators=(",", ":")).encode() + b"\n"
    distinct = {path: plain(path, layer) for path, layer in zip(layers, image.layers, strict=True)}
    members = [plain("manifest.json", manifest), plain(config, image.config), *distinct.values()]
    padded = tar_of(members, tar_format=tarfile.USTAR_FORMAT)
    return padded[: sum(512 + len(data) + -len(data) % 512 for _, data in members) + 1024]


LAYOUTS: dict[str, Callable[[Image], bytes]] = {
    "legacy, duplicates as symbolic links": lambda image: tar_of(legacy(image)),
    "legacy, duplicates as hard links": lambda image: tar_of(legacy(image, duplicates="hard link")),
    "legacy, duplicates as copies": lambda image: tar_of(legacy(image, duplicates="copy")),
    "legacy, back to front": lambda image: tar_of(reversed(legacy(image))),
    "legacy, GNU headers": lambda image: tar_of(legacy(image), tar_format=tarfile.GNU_FORMAT),
    "OCI": lambda image: tar_of(oci(image)),
    "OCI, compressed layers": lambda image: tar_of(oci(image, compress=lambda data: gzip.compress(data, 1, mtime=0))),
    "OCI archive": lambda image: tar_of(oci_archive(image)),
    "OCI archive, zstd": lambda image: tar_of(oci_archive(image, compress=zstd)),
    "OCI archive, xz": lambda image: tar_of(oci_archive(image, compress=lzma.compress)),
    "OCI archive, bzip2, of two platforms": lambda image: tar_of(
        oci_archive(Image((), author="arm"), image, compress=bzip2, platforms=("linux/arm64", "linux/amd64"))
    ),
    "podman": lambda image: tar_of(podman(image)),
    "canonical": canonical,
    "canonical under another name": lambda image: canonical(image, "other/name:2"),
    "a folder that was packed by hand": lambda image: tar_of(
        [member("./", tarfile.DIRTYPE)] + [file_member(f"./{info.name}", data) for info, data in podman_files(image)]
    ),
}


def podman_files(image: Image) -> list[File]:
    return [(info, data) for info, data in podman(image) if info.isreg()]


def example_image() -> Image:
    """Three layers, of which the first comes twice."""
    base = layer_tar({"bin/bash": b"\x7fELF" + bytes(range(256)) * 5000})
    tool = layer_tar({"usr/bin/tool": b"#!/bin/bash\necho tool\n", "etc/tool.conf": b"x=1\n" * 70})
    return Image((base, tool, base, layer_tar({})), {"org.example.b": "2", "a": "1"})
