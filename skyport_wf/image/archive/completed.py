"""A thin archive read as a whole one: its own layers, and those that only its base image's archive has.

The layers come in the order of the archives, the lowest image's first, each under a name made for it here; the config
and a manifest that names them come last, byte for byte and by digest those of the thin archive's image.
"""

from collections.abc import Iterable, Iterator

from skyport_wf.byte_streams import ByteStream, ChunkReader
from skyport_wf.image.archive.layout import END, config_name, padding, tar_file, tar_header
from skyport_wf.image.archive.manifest import manifest_document
from skyport_wf.image.archive.reader import MANIFEST, ArchivedImage, ArchiveReader


class CompletedArchive:
    """An uncompressed docker archive to read, made of several."""

    def __init__(self, archives: Iterable[ByteStream], *, reference: str, name: str = "") -> None:
        """Make one archive of the image in the last of `archives`.

        archives: uncompressed; the lowest image's first, each taken when the one before has been read to its end.
        reference: the name that the image gets.
        name: what messages call the archive.
        """
        self.name = name
        self.places: tuple[int, ...] = ()
        """Once it is read: for each layer of the image, the lowest first, which of the archives has it."""
        self.image_id = ""
        """Once it is read: the image's config digest."""
        self._archives = archives
        self._reference = reference
        self._bytes = ChunkReader(self._pieces())

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, and none only at the end.

        Raises ArchiveError if one of the archives does not hold exactly one image, complete but for the layers of the
        one below it, and undamaged; exceptions of the archives themselves pass through.
        """
        return self._bytes.read(size)

    def _pieces(self) -> Iterator[bytes]:
        image: ArchivedImage | None = None
        places: list[tuple[int, str]] = []
        for number, stream in enumerate(self._archives):
            archive = ArchiveReader(stream)
            names: dict[str, str] = {}
            for layer in archive.layers():
                names[layer.name] = f"{number}-{len(names)}.tar"
                yield tar_header(names[layer.name], layer.stored_size)
                yield from layer.stored_pieces()
                yield padding(layer.stored_size)
            image = archive.image(base=image.contents.layers if image else ())
            own = [(number, names[path]) for path in image.layers if path]
            # The layers that it lacks are the lowest.
            places = [*places[: len(image.layers) - len(own)], *own]
        if image is not None:
            self.places = tuple(number for number, _ in places)
            self.image_id = image.contents.image_id
            config = config_name(self.image_id)
            layers = tuple(name for _, name in places)
            yield tar_file(config, image.config)
            yield tar_file(MANIFEST, manifest_document(config=config, name=self._reference, layers=layers))
        yield END
