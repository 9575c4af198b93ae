"""Tell what bytes are by how they begin."""

import tarfile
from typing import Final

_MAGIC: Final = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"BZh": "bzip2",
    b"\x04\x22\x4d\x18": "lz4",
    b"PK\x03\x04": "zip",
}


def recognise_format(head: bytes) -> str:
    """Return `tar`, a compressor's name, `json` or an empty string.

    head: the first 512 bytes, or all if there are fewer.
    """
    if len(head) >= tarfile.BLOCKSIZE and _is_tar_header(head[: tarfile.BLOCKSIZE]):
        return "tar"
    for magic, name in _MAGIC.items():
        if head.startswith(magic):
            return name
    return "json" if head.lstrip()[:1] in (b"{", b"[") else ""


def _is_tar_header(block: bytes) -> bool:
    """Return whether the block has a header's checksum, or is the end of an empty tar."""
    try:
        tarfile.TarInfo.frombuf(block, "latin-1", "strict")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]  # missing in typeshed
        return True
    except tarfile.HeaderError:
        return False
    return True
