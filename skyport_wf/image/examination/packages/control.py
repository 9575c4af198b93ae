"""The format of Debian's control files, which R's DESCRIPTION and Python's METADATA share: `Field: value` lines."""

import io
from collections.abc import Collection, Iterator


def read_paragraphs(content: bytes, wanted: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield the wanted fields of each paragraph, of a field with several lines the first.

    Bytes that are no UTF-8 are replaced: old packages have maintainers in Latin-1.
    """
    names = {name.encode(): name for name in wanted}
    fields: dict[str, str] = {}
    for line in io.BytesIO(content):
        if not line.strip():
            yield fields
            fields = {}
            continue
        name, colon, value = line.partition(b":")
        if colon and name in names:
            fields[names[name]] = value.decode(errors="replace").strip()
    yield fields
