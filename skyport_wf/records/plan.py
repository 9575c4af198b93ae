"""Images that are to be built, as workflow engines get to know them: values that need neither sources nor an engine."""

import msgspec

from skyport_wf.image_list.spec import SourceKind


class PlannedImage(msgspec.Struct, frozen=True):
    """One image of the list, as a workflow engine needs to know it."""

    name: str
    key: str
    """The name as a file name."""
    source: SourceKind
    digest: str
    """Changes with everything in the files and the image list that decides what the image is, where it goes, and who
    may read it."""
    notes: str
    """A digest that changes with what only the node and its links say, such as the description: no image changes."""
    needs: tuple[str, ...]
    """Names of the images of the list that it is built on."""
    base: str | None
    """The one of them without whose layers it is published, so that it has to be published first."""
    archive: str | None
    """The file that it comes from, if it comes from one."""
