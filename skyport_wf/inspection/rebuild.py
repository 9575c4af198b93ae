"""Making an image once more beside the one that its name stands for, and leaving the engine as it was."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from skyport_wf.errors import SkyportError
from skyport_wf.sources.resolution import ResolvedImage
from skyport_wf.sources.source import Bases, MadeImage, Output
from skyport_wf.steps.build import make_image

if TYPE_CHECKING:
    from docker import APIClient

_log = logging.getLogger(__name__)

_STEP_IMAGE: Final = re.compile(r"^ ?-{2,3}> (?P<id>[0-9a-f]{11,64})\s*$", re.MULTILINE)
"""The line by which the classic builder, and podman, name the image of a step; of a failed build, nobody removes it."""
_LATE_SECONDS: Final = 2
"""For how long an engine may go on with what was interrupted, and come up with an image after all."""
_GIVE_UP_SECONDS: Final = 15
"""For how long an image that is to be removed may be in use by the step that was interrupted."""
_PAUSE_SECONDS: Final = 0.2


class RebuiltImage(msgspec.Struct, frozen=True):
    """An image that was made once more."""

    name: str
    """The name that the engine has it under, which is nobody else's."""
    made: MadeImage


@contextmanager
def rebuilt_image(
    engine: APIClient, image: ResolvedImage, bases: Bases, output: Output, *, pull: bool = False, keep: bool = False
) -> Iterator[RebuiltImage]:
    """Make the image without cache and under a name of its own, for as long as the block takes.

    bases: as `hold_bases` returns them.
    output: called with each piece of text that the build prints.
    pull: ask the registry for a newer base image.
    keep: leave the image and its name in the engine, if it could be made.
    Raises BuildError if it cannot be made. Whatever happens, no other name moves, and nothing else is left behind but
    base images that the build pulled.
    """
    name = f"rebuilt-{secrets.token_hex(4)}/{image.spec.name}"
    spec = msgspec.structs.replace(image.spec, name=name, no_cache=True, pull=image.spec.pull or pull)
    leftovers = _Leftovers(engine, name)
    late = 0
    try:
        made = make_image(
            engine, msgspec.structs.replace(image, spec=spec), bases, leftovers.listen(output), note=leftovers.note
        )
        if keep:
            _log.info("the image that was built again is kept as %s", name)
            leftovers.keep()
        yield RebuiltImage(name, made)
    except (KeyboardInterrupt, SystemExit):
        late = _LATE_SECONDS
        raise
    finally:
        leftovers.remove(late)


class _Leftovers:
    """The images that a build makes, on its way and at its end."""

    def __init__(self, engine: APIClient, name: str) -> None:
        from skyport_wf.engine.images import list_image_ids

        self._engine = engine
        self._name = name
        self._ids: list[str] = []
        self._before = list_image_ids(engine)
        self._kept = False

    def note(self, image_id: str) -> None:
        """Take note of an image that was made."""
        self._ids.append(image_id)

    def listen(self, output: Callable[[str], None]) -> Callable[[str], None]:
        """Return an `output` that takes note of the images that the builder tells of."""

        def listen(text: str) -> None:
            self._ids += (match["id"] for match in _STEP_IMAGE.finditer(text))
            output(text)

        return listen

    def keep(self) -> None:
        """Leave them all in the engine."""
        self._kept = True

    def remove(self, late: float) -> None:
        """Remove them, and those that still come up in the next `late` seconds. That it fails is no error."""
        try:
            left = [] if self._kept else self._remove_until(late)
        except SkyportError as error:
            _log.warning("what was built as %s may be left in the engine: %s", self._name, error)
            return
        except (KeyboardInterrupt, SystemExit):
            # Someone who will not wait: what can be removed at once is.
            self._remove_all()
            raise
        if left:
            _log.warning("left in the engine, as it is still in use there: %s", ", ".join(left))

    def _remove_until(self, late: float) -> list[str]:
        """Return what could not be removed."""
        end = time.monotonic() + late
        while True:
            left = self._remove_all()
            if time.monotonic() >= end + (_GIVE_UP_SECONDS if left else 0):
                return left
            time.sleep(_PAUSE_SECONDS)

    def _remove_all(self) -> list[str]:
        """Remove what is there, the latest first, and return what is in use."""
        from skyport_wf.engine.images import name_in_engine, remove_image

        named = [] if remove_image(self._engine, name_in_engine(self._engine, self._name)) else [self._name]
        return named + [image_id for image_id in reversed(self._ids) if not self._remove_nameless(image_id)]

    def _remove_nameless(self, image_id: str) -> bool:
        from skyport_wf.engine.images import find_image, remove_image

        found = find_image(self._engine, image_id)
        if found is None or found.id in self._before or found.repo_tags or found.repo_digests:
            return True
        return remove_image(self._engine, found.id)
