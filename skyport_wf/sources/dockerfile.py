"""Source `dockerfile`: an image that is built from a Dockerfile."""

from __future__ import annotations

import codecs
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import msgspec

from skyport_wf.cache import cache_folder
from skyport_wf.digests import digest_of
from skyport_wf.errors import BuildError, EngineError, SkyportError, TemporaryError, UsageError
from skyport_wf.image.context import digest_context
from skyport_wf.image.dockerfile import SCRATCH, parse_dockerfile
from skyport_wf.image_list.reference import is_docker_name, is_local_spelling, short_docker_name
from skyport_wf.image_list.spec import BuildSecret, ImageSpec
from skyport_wf.input_file import read_bounded
from skyport_wf.near_words import near_words
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.source import Source
from skyport_wf.sources.materials import find_materials
from skyport_wf.sources.remote_files import RemoteFiles
from skyport_wf.sources.source import Bases, Connect, MadeImage, Output, find_base

if TYPE_CHECKING:
    from docker import APIClient

_LARGEST = 1 << 20
"""Bytes of a Dockerfile: it goes into records and into the node's attributes."""


class DockerfileSource:
    """A Dockerfile and its build context, on this machine or fetched."""

    work: ClassVar[str] = "build"
    cannot_be_rebuilt: ClassVar[str] = ""
    known_without_engine: ClassVar[bool] = True
    archive: Path | None = None

    def __init__(self, spec: ImageSpec, folder: Path, remote: RemoteFiles) -> None:
        """Find the context and read the Dockerfile.

        Raises UsageError if a file of this machine is not there or cannot be read, or the Dockerfile has no stage, or
        none of the name that is asked for, and what find_materials raises.
        """
        self.materials = find_materials(spec, folder, remote)
        path = self.materials.context.dockerfile
        try:
            self.dockerfile = read_bounded(path, _LARGEST)
        except OSError as error:
            raise UsageError(f"image {spec.name}: cannot read {path}: {error.strerror}") from error
        self._spec, self._folder = spec, folder
        self._parsed = parse_dockerfile(
            self.dockerfile, build_args=spec.build_args, target=spec.target, platform=spec.normalized_platform
        )
        if self._parsed.lacks_stages:
            why = "has no FROM, and docker refuses such a file. Write what it starts from."
            if self.dockerfile.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                why = "is in UTF-16, as PowerShell writes files, which docker cannot read. Save it as UTF-8."
            raise UsageError(f"image {spec.name}: {path} {why}")
        if self._parsed.lacks_target:
            raise UsageError(
                f"image {spec.name}: {path} has no stage {spec.target!r}. Mend `target` in the image list."
            )
        self.used_images: tuple[str, ...] = self._parsed.images
        self.triggered_images = self._parsed.triggered
        """Those of them that builds on this image need, for its `ONBUILD`."""
        self.base = self._parsed.base
        """The image that the last stage starts from."""

    def describe(self, needs: Mapping[str, str], connect: Connect) -> Source:
        """Return what the image is made from. Raises SkyportError if a file of the context cannot be read."""
        spec, materials = self._spec, self.materials
        decides: dict[str, object] = {
            "dockerfile": self._parsed.digest,
            "context": self._context_digest,
            "build_args": spec.build_args,
            "target": spec.target,
            "platform": spec.normalized_platform,
            "labels": spec.labels,
            "needs": dict(needs),
        }
        if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
            # BuildKit puts this time into the image.
            decides["SOURCE_DATE_EPOCH"] = epoch
        return Source(
            kind="dockerfile",
            digest=digest_of(encode_json(decides)),
            dockerfile_digest=self._parsed.digest,
            context_digest=self._context_digest,
            dockerfile_url=materials.dockerfile_url,
            git=materials.git,
        )

    def check_inputs(self) -> None:
        """Raise UsageError if a build secret or an SSH agent is not there. No engine is asked."""
        from skyport_wf.engine.build_inputs import check_inputs

        check_inputs(self._place_inputs(self._spec))

    def _place_inputs(self, spec: ImageSpec) -> ImageSpec:
        """Return the image with build secrets and SSH agents where they are, seen from here."""
        from skyport_wf.engine.build_inputs import place_agent

        def place(path: str) -> str:
            # This leaves a `~` that means no folder as it is, and the file is said to be missing.
            return str(self._folder / os.path.expanduser(path))  # noqa: PTH111

        secrets = {
            name: BuildSecret(env=secret.env, file=secret.file and place(secret.file))
            for name, secret in spec.secrets.items()
        }
        try:
            ssh = tuple(place_agent(agent, place) for agent in spec.ssh)
        except UsageError as error:
            raise UsageError(f"image {spec.name}: {error}") from error
        return msgspec.structs.replace(spec, secrets=secrets, ssh=ssh)

    @cached_property
    def _context_digest(self) -> str:
        return self._digest_context()

    def _digest_context(self) -> str:
        memory = None
        # Without a cache, large contexts take longer.
        with suppress(SkyportError):
            memory = cache_folder("digests")
        return digest_context(self.materials.context, memory=memory)

    def _check_unchanged(self) -> None:
        """Raise TemporaryError if Dockerfile or context are no longer what was read for `describe`."""
        context = self.materials.context
        with suppress(OSError, SkyportError):
            unchanged = read_bounded(context.dockerfile, _LARGEST) == self.dockerfile
            if unchanged and self._digest_context() == self._context_digest:
                return
        raise TemporaryError(
            f"image {self._spec.name}: its Dockerfile {context.dockerfile} or its build context {context.root} has "
            "changed since this command read it, and the builder may have seen either. Run the command again; name in "
            ".dockerignore what others write there meanwhile."
        )

    def make(self, engine: APIClient, spec: ImageSpec, bases: Bases, output: Output) -> MadeImage:
        """Build the image. Raises TemporaryError if its files change before the build has ended."""
        # Other images may have been built since the files were read, for hours.
        self._check_unchanged()
        for name, held_base in bases.items():
            has_its_name = short_docker_name(name) == short_docker_name(held_base.reference)
            if name not in self.used_images and not (has_its_name or is_local_spelling(name, held_base.reference)):
                # Names in a Dockerfile can be changed for a build, those in the config of its base cannot.
                raise BuildError(
                    f"{spec.name}: an ONBUILD of its base takes files from {name}, and another image is called so in "
                    "the engine. Give that one another name, and build again."
                )
        from skyport_wf.engine.build_output import UnknownImageError
        from skyport_wf.engine.builders import build_image
        from skyport_wf.engine.images import pull_image

        if spec.pull and bases:
            # A builder can pull all images or none, and a registry may have a stranger's under a name of the list.
            for name in self.used_images:
                if name not in bases:
                    pull_image(engine, name, platform=spec.normalized_platform, wanted_by=spec.name, output=output)
            spec = msgspec.structs.replace(spec, pull=False)
        held = {name: base.reference for name, base in bases.items()}
        context = msgspec.structs.replace(self.materials.context, digest=self._context_digest)
        try:
            image_id = build_image(engine, self._place_inputs(spec), context, output, bases=held)
        except UnknownImageError as error:
            near = near_words(error.image.removesuffix(":latest"), self._parsed.stages)
            if not near:
                raise
            stage = f"If the stage `{near[0]}` is meant, write that; it has to stand above."
            raise BuildError(f"{error} {stage}") from error
        # The builder reads the files by itself: one that was edited meanwhile would be published as what it was before.
        self._check_unchanged()
        base = None
        # The image is built: that its base cannot be named, as something here is not understood, must not matter.
        if self.base != SCRATCH and (self.base in bases or is_docker_name(self.base)):
            with suppress(EngineError):
                base = find_base(engine, self.base, bases)
        return MadeImage(image_id, base)
