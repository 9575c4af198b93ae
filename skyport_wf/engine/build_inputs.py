"""Build arguments, build secrets, SSH agents and a folder of its own: what a build gets beside its context."""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from skyport_wf.engine.build_output import line_of_output
from skyport_wf.errors import UsageError
from skyport_wf.input_file import exists, read_bounded
from skyport_wf.output_file import scratch_folder

if TYPE_CHECKING:
    from skyport_wf.image.context import BuildContext
    from skyport_wf.image_list.spec import BuildSecret, ImageSpec

EPOCH: Final = "SOURCE_DATE_EPOCH"
"""Names the time that builds take for now, in seconds since 1970. Source: reproducible-builds.org."""
_NUMBER: Final = re.compile("[0-9]{1,12}")
_LAST_TIME: Final = 253_402_300_799
"""The last second of the year 9999: engines write no later time."""
MASK: Final = "***"
_LARGEST_SECRET: Final = 500 << 10
"""Bytes of a secret: BuildKit takes no more (session/secrets)."""
_AGENT: Final = "SSH_AUTH_SOCK"
"""Names the socket of the SSH agent."""
_NO_PATH: Final = "raw="
"""What stands between the paths of an SSH agent begins so, if it is none: later versions of buildx have an option."""
_OTHER_PLACES: Final = ("/tmp", "/var/tmp")  # noqa: S108 - a folder of an own, unguessable name is made there
"""Folders for temporary files, where the user's own one is part of a build context."""
_SHORTEST: Final = 4
"""Characters of a line of a secret that is masked: shorter ones are in every text."""


@contextmanager
def folder_outside(context: BuildContext) -> Iterator[Path]:
    """Make a folder for a build's own files where no `COPY` sees it, and remove it at the end of the block.

    Raises UsageError if all folders for temporary files are part of the context.
    """
    root, usual = context.root.resolve(), tempfile.gettempdir()
    for place in (usual, *_OTHER_PLACES):
        if not Path(place).resolve().is_relative_to(root) and os.access(place, os.W_OK | os.X_OK):
            with scratch_folder(Path(place)) as folder:
                yield folder
            return
    raise UsageError(
        f"the folder for temporary files, {usual}, is part of the build context {context.root}: they would be in the "
        "image. Set TMPDIR to a folder outside of it."
    )


def build_arguments(image: ImageSpec) -> dict[str, str]:
    """Return the values of `ARG` by name: those of the image list, and SOURCE_DATE_EPOCH if it is set here.

    A `RUN` sees it if the Dockerfile declares it; later versions of BuildKit also write it into the image.
    Raises UsageError if that is no time.
    """
    given = {EPOCH: os.environ[EPOCH]} if os.environ.get(EPOCH) else {}
    arguments = {**given, **image.build_args}
    epoch = arguments.get(EPOCH)
    if epoch is not None and not (_NUMBER.fullmatch(epoch) and int(epoch) <= _LAST_TIME):
        # Some engines pass over it, others fail at the end of the build.
        raise UsageError(
            f"image {image.name}: {EPOCH} is {line_of_output(epoch)!r}. Set it to a whole number of seconds since "
            "1970, such as 1700000000."
        )
    return arguments


def input_options(image: ImageSpec) -> Iterator[str]:
    """Yield the docker command's options for build secrets and SSH agents.

    Raises UsageError if one is not there.
    """
    try:
        yield from secret_options(image.secrets)
        yield from ssh_options(image.ssh)
    except UsageError as error:
        raise UsageError(f"image {image.name}: {error}") from error


def check_inputs(image: ImageSpec) -> None:
    """Raise UsageError if a build secret or an SSH agent is not there."""
    for _ in input_options(image):
        pass


def secret_options(secrets: Mapping[str, BuildSecret]) -> Iterator[str]:
    """Yield the docker command's options for the secrets: they name where each is, never what it is.

    Raises UsageError if one is not there.
    """
    for name, secret in secrets.items():
        if secret.env and secret.env not in os.environ:
            raise UsageError(f"the variable {secret.env} of the build secret {name!r} is not set")
        path = Path(secret.file or "")
        if not secret.env:
            try:
                read_bounded(path, _LARGEST_SECRET)
            except FileNotFoundError as error:
                raise UsageError(f"there is no file {path} for the build secret {name!r}") from error
            except OSError as error:
                raise UsageError(f"the build secret {name!r}: cannot read {path}: {error.strerror}") from error
        yield from ("--secret", csv_line(f"id={name}", f"env={secret.env}" if secret.env else f"src={path}"))


def ssh_options(agents: Iterable[str]) -> Iterator[str]:
    """Yield the docker command's options for SSH agents and keys.

    agents: each an ID, which means the agent of SSH_AUTH_SOCK, or ID=PATH[,PATH], a socket or keys.
    Raises UsageError if one is not there.
    """
    for agent in agents:
        name, paths = split_agent(agent)
        if not paths and not os.environ.get(_AGENT):
            raise UsageError(
                f"the variable {_AGENT}, which names the SSH agent of `ssh: [{agent}]`, is not set. Start an agent, or "
                f"name a key: {name}=FILE."
            )
        for path in paths or [os.environ[_AGENT]]:
            if not path.startswith(_NO_PATH) and not exists(Path(path)):
                raise UsageError(f"there is no {path}, the agent or key of `ssh` {name!r}")
        yield from ("--ssh", agent)


def split_agent(agent: str) -> tuple[str, list[str]]:
    """Return the ID of an SSH agent as the image list names it, and the paths of its socket or keys."""
    name, _, paths = agent.partition("=")
    return name, paths.split(",") if paths else []


def place_agent(agent: str, place: Callable[[str], str]) -> str:
    """Return an SSH agent as docker is to be told of it.

    place: returns where a path of the image list leads.
    Raises UsageError if docker cannot be told of one.
    """
    name, paths = split_agent(agent)
    if not paths:
        return agent
    placed = [path if path.startswith(_NO_PATH) else place(path) for path in paths]
    if comma := next((path for path in placed if "," in path), None):
        # Docker's command splits at each, and knows no quotes here.
        raise UsageError(f"docker cannot be given {comma} as SSH agent or key: its path has a comma. Move it.")
    return f"{name}={','.join(placed)}"


def csv_line(*fields: str) -> str:
    """Return the fields as one value of a docker option, whatever is in them.

    Such a value is a line of CSV: a comma in the name of a file would begin another field, such as another file.
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def secret_mask(secrets: Mapping[str, BuildSecret]) -> Callable[[str], str]:
    """Return a function that replaces the secrets in a text by `***`.

    A script that prints a secret by mistake (`set -x`, a wrong URL) would leave it in a log for good. A secret of
    several lines is masked line by line, as a build prints it.
    """
    lines: set[str] = set()
    for secret in secrets.values():
        try:
            text = (
                os.environ.get(secret.env, "")
                if secret.env
                else read_bounded(Path(secret.file or ""), _LARGEST_SECRET).decode(errors="replace")
            )
        except OSError:
            # Nothing to mask: the build will say that the file cannot be read.
            continue
        lines.update(line.strip() for line in text.splitlines())
    # The longest first, or a line that is part of another one would leave the rest of that in the text.
    words = sorted((line for line in lines if len(line) >= _SHORTEST), key=len, reverse=True)
    if not words:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, words)))
    return lambda text: pattern.sub(MASK, text)
