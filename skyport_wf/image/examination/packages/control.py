"""The format of Debian's control files, which R's DESCRIPTION and Python's METADATA share: `Field: value` lines."""

import io
from collections.abc import Collection, Iterator


def read_paragraphs(content: bytes, wanted: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield the wanted fields of each paragraph, of a field with several lines the first that has something.

    Bytes that are no UTF-8 are replaced: old packages have maintainers in Latin-1.
    """
    names = {name.encode(): name for name in wanted}
    fields: dict[str, str] = {}
    begun = ""
    for line in io.BytesIO(content):
        if not line.strip():
            yield fields
            fields, begun = {}, ""
        elif line[:1].isspace():
            # R writes a long value below the name of its field.
            if begun and not fields[begun]:
                fields[begun] = _text(line)
        else:
            name, colon, value = line.partition(b":")
            begun = names.get(name, "") if colon else ""
            if begun:
                fields[begun] = _text(value)
    yield fields


def _text(value: bytes) -> str:
    return value.decode(errors="replace").strip()
