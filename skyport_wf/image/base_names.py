"""Other names for the images that a Dockerfile is built from, everything else in it left as it is."""

from collections.abc import Mapping

from skyport_wf.errors import SkyportError
from skyport_wf.image.dockerfile import ImageUse, global_arguments, read_stages
from skyport_wf.image.instructions import read_instructions
from skyport_wf.image_list.reference import short_docker_name


def replace_images(
    content: bytes, names: Mapping[str, str], *, build_args: Mapping[str, str], platform: str | None = None
) -> bytes:
    """Return the Dockerfile with other names where a `FROM` or a `--from=` names an image.

    What an `ONBUILD` names stays: it becomes part of the image, which others have without the other name.

    names: the new name of each image that gets one, whichever of docker's spellings the Dockerfile has.
    build_args: win over the defaults of `ARG` before the first `FROM`.
    platform: what the image is built for; that of this machine if None.
    Raises SkyportError if a place cannot be found, as on a line that is no UTF-8.
    """
    instructions = read_instructions(content)
    names = {short_docker_name(name): new for name, new in names.items()}
    stages = read_stages(instructions, global_arguments(instructions, build_args, platform))
    bases = [stage.base for stage in stages if stage.built_on is None]
    found = (*bases, *(use for stage in stages for use in stage.uses))
    uses = [use for use in found if short_docker_name(use.image) in names and not use.is_triggered]
    # Bytes that are no UTF-8 come back as they were.
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    # From the end: what is replaced does not move what stands before it.
    for number, column, use in sorted((*_place(use, lines), use) for use in uses)[::-1]:
        line = lines[number]
        lines[number] = line[:column] + names[short_docker_name(use.image)] + line[column + len(use.written) :]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def _place(use: ImageUse, lines: list[str]) -> tuple[int, int]:
    """Return the index of the line that the name stands on, and where in that it begins."""
    value, pieces = use.instruction.value, use.instruction.pieces
    number = use.instruction.line_at(use.offset)
    start = max((offset for offset, line in pieces if line == number), default=0)
    end = min((offset for offset, _ in pieces if offset > start), default=len(value))
    # What the instruction has of a line stands at the line's end, before a sign that it goes on.
    at = lines[number - 1].rfind(value[start:end].rstrip())
    column = at + use.offset - start
    if at < 0 or not lines[number - 1].startswith(use.written, column):
        raise SkyportError(f"line {number} of the Dockerfile names {use.image} in a way that is not understood")
    return number - 1, column
