"""What a layer does to the file system below it: what it adds or changes, what it deletes.

Source: OCI image-spec, layer.md, "Whiteouts" and "Opaque Whiteout"; the names are AUFS's.
"""

from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from skyport_wf.image.examination.layer_tar import LayerTar

ChangeKind = Literal["file", "folder", "hard link", "other", "deleted", "emptied"]

_WHITEOUT: Final = b".wh."
_AUFS: Final = b".wh..wh."
"""What names begin with that AUFS keeps for itself; they mean nothing, but for one of them."""
_OPAQUE: Final = b".wh..wh..opq"


class Change(msgspec.Struct, frozen=True):
    """What a layer does at one path."""

    path: bytes
    """From the root of the file system; empty for the root itself."""
    kind: ChangeKind
    """`deleted`: what lower layers have there is gone. `emptied`: what they have below the folder is gone."""
    size: int = 0
    """Bytes of a file's content, as the layer stores it."""
    target: bytes = b""
    """The path of the file that a hard link is another name of."""


def read_changes(layer: LayerTar) -> Iterator[Change]:
    """Yield what the layer does, in the order of its tar; the content of a file can be taken from `layer` meanwhile.

    Raises ArchiveError for a damaged layer.
    """
    for member in layer:
        folder, slash, name = member.path.rpartition(b"/")
        if name == _OPAQUE:
            yield Change(folder, "emptied")
        elif name.startswith(_AUFS) or name == _WHITEOUT:
            yield Change(member.path, "other")
        elif name.startswith(_WHITEOUT):
            yield Change(folder + slash + name.removeprefix(_WHITEOUT), "deleted")
        else:
            yield Change(member.path, member.kind, member.size, member.target)
