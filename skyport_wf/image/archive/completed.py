"""An archive read under one name of ours, and a thin one as a whole one, with the layers that only its base has.

The layers come in the order of the archives, the lowest image's first, each under a name made for it here; the config
and a manifest that names them come last, byte for byte and by digest those of the thin archive's image.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence

from skyport_wf.byte_streams import ByteStream, ChunkReader
from skyport_wf.image.archive.layout import END, config_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchivedImage, ArchiveReader
from skyport_wf.image.contents import Layer

_BELOW = -1
"""The place of a layer that none of the archives has."""


class CompletedArchive:
    """An uncompressed docker archive to read, made of several."""

    def __init__(
        self,
        archives: Iterable[ByteStream],
        *,
        reference: str,
        name: str = "",
        base: Sequence[Layer] = (),
        wanted_id: str = "",
    ) -> None:
        """Make one archive of the image in the last of `archives`.

        archives: uncompressed; the lowest image's first, each taken when the one before has been read to its end.
        reference: the one name that the image gets, whatever names the archives have.
        name: what messages call the archive.
        base: layers that the lowest archive may lack, and that are listed without a file: who loads it has them.
        wanted_id: the config digest that the image has to have; any if empty.
        """
        self.name = name
        self.places: tuple[int, ...] = ()
        """Once it is read: for each layer of the image, the lowest first, which of the archives has it."""
        self.image_id = ""
        """Once it is read: the image's config digest."""
        self._archives = archives
        self._reference = reference
        self._base = base
        self._wanted_id = wanted_id
        self._bytes = ChunkReader(self._pieces())

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises ArchiveError if one of the archives does not hold exactly one image, complete but for the layers of the
        one below it, and undamaged, or if the image is not the wanted one; exceptions of the archives themselves pass
        through. All of that is before the manifest, without which nobody loads anything.
        """
        return self._bytes.read(size)

    def _pieces(self) -> Iterator[bytes]:
        image: ArchivedImage | None = None
        # containerd's store takes in a file under its name in the archive. Two archives that are loaded at the same
        # time must not have the same name for different layers, or one of them fails.
        own_prefix = uuid.uuid4().hex
        places = [(_BELOW, f"below-{number}.tar") for number in range(len(self._base))]
        for number, stream in enumerate(self._archives):
            archive = ArchiveReader(stream)
            names: dict[str, str] = {}
            for layer in archive.layers():
                names[layer.name] = f"{own_prefix}-{number}-{len(names)}.tar"
                yield tar_header(names[layer.name], layer.stored_size)
                yield from layer.stored_pieces()
                yield padding(layer.stored_size)
            image = archive.image(base=image.contents.layers if image else self._base)
            own = [(number, names[path]) for path in image.layers if path]
            # The layers that it lacks are the lowest.
            places = [*places[: len(image.layers) - len(own)], *own]
        if image is not None:
            self.places = tuple(number for number, _ in places)
            self.image_id = image.contents.image_id
            if self._wanted_id and self.image_id != self._wanted_id:
                raise archive.error(f"holds the image {self.image_id}, and not {self._wanted_id}")
            config = config_name(self.image_id)
            layers = tuple(name for _, name in places)
            yield tar_file(config, image.config)
            yield tar_file(MANIFEST, manifest_document(config=config, name=self._reference, layers=layers))
        yield END
