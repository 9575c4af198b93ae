"""Files that a tar stores sparsely, by pax records: the chunks that are not all zeros, and a list of where they belong.

Source for the three forms: GNU tar's manual, "Storing Sparse Files".
"""

import tarfile
from collections.abc import Mapping
from typing import Final

from skyport_wf.image.tar.header import BLOCK, parse_decimal

SPARSE: Final = b"GNU.sparse."
"""The beginning of the keys of their pax records; engines read those."""
CHUNK: Final = (SPARSE + b"offset", SPARSE + b"numbytes")
"""Keys that the oldest form has once for each chunk, in this order."""
_FORMS: Final = frozenset({(b"0", b"0"), (b"0", b"1"), (b"1", b"0")})


def is_sparse(kind: bytes, records: Mapping[bytes, bytes]) -> bool:
    """Return whether engines take pax records for those of a sparse file: they pass over forms that they do not know.

    kind: the member's type, as `tarfile` names types; that of the oldest sparse files, which have no such records, is
        not meant here
    """
    if kind == tarfile.GNUTYPE_SPARSE:
        return False
    form = records.get(SPARSE + b"major", b""), records.get(SPARSE + b"minor", b"")
    return form in _FORMS or (form == (b"", b"") and SPARSE + b"map" in records)


def has_sound_map(records: Mapping[bytes, bytes], data: bytes, size: int) -> bool:
    """Return whether the chunks of a sparse file follow each other in it, and have as many bytes as its data.

    data: the first MiB of its data, where the list of the chunks is in the last form; engines take no longer ones
    size: bytes of its data in the tar
    """
    told = records.get(SPARSE + b"size") or records.get(SPARSE + b"realsize")
    end = 0
    try:
        whole = parse_decimal(told) if told else size
        if records.get(SPARSE + b"major") == b"1":
            numbers, taken = _list_in_data(data)
        else:
            numbers, taken = _list_in_records(records), 0
        for offset, length in zip(numbers[::2], numbers[1::2], strict=True):
            if offset < end or length < 0:
                return False
            end = offset + length
    except ValueError:
        return False
    return end <= whole and taken + sum(numbers[1::2]) == size


def _list_in_records(records: Mapping[bytes, bytes]) -> list[int]:
    texts = records[SPARSE + b"map"].split(b",") if SPARSE + b"map" in records else []
    if len(texts) != 2 * parse_decimal(records.get(SPARSE + b"numblocks", b"")):
        raise ValueError("not as many chunks as it says")
    return [parse_decimal(text) for text in texts]


def _list_in_data(data: bytes) -> tuple[list[int], int]:
    """Return the numbers, which have a line each, and the bytes that they take up."""
    count = parse_decimal(data[:BLOCK].partition(b"\n")[0])
    # Each line has two bytes at least.
    if not 0 <= count <= len(data) // 4:
        raise ValueError("more chunks than there can be")
    _, *lines, rest = data.split(b"\n", 2 * count + 1)
    if len(lines) != 2 * count:
        raise ValueError("not as many chunks as it says")
    taken = len(data) - len(rest)
    return [parse_decimal(line) for line in lines], taken + -taken % BLOCK
