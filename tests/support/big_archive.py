"""A docker archive of any size that takes no memory."""

import hashlib
import json
from collections.abc import Iterator

from tests.support.docker_archives import file_member, manifest_of, sha256, tar_of

PIECE = 1 << 20


class BigArchive:
    """A stream of layers that are hard to compress and easy to make: one random MiB again and again."""

    def __init__(self, *, layer_size: int, layers: int) -> None:
        assert layer_size % 512 == 0
        self.layer_size = layer_size
        self.layers = layers
        self._noise = hashlib.shake_256(b"noise").digest(PIECE)
        self._pieces = self._all()
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _layer(self, number: int) -> Iterator[bytes]:
        info, _ = file_member(f"file{number}", b"")
        info.size = self.layer_size - 512
        yield info.tobuf()
        for at in range(512, self.layer_size, PIECE):
            yield self._noise[: min(PIECE, self.layer_size - at)]

    def _all(self) -> Iterator[bytes]:
        diff_ids = []
        for number in range(self.layers):
            info, _ = file_member(f"{number}/layer.tar", b"")
            info.size = self.layer_size
            yield info.tobuf()
            digest = hashlib.sha256()
            for piece in self._layer(number):
                digest.update(piece)
                yield piece
            diff_ids.append(f"sha256:{digest.hexdigest()}")
        config = json.dumps({"rootfs": {"diff_ids": diff_ids}}).encode()
        name = f"{sha256(config)}.json"
        manifest = manifest_of(name, [f"{number}/layer.tar" for number in range(self.layers)])
        yield tar_of([file_member(name, config), file_member("manifest.json", manifest)])
