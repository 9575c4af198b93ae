"""Building with BuildKit, which has `RUN --mount`, heredocs, build secrets and `# syntax`.

BuildKit's session protocol has no client in Python, so the docker command speaks it: with its buildx plugin, or, from
18.09 up to 22, by itself.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast

from skyport_wf.byte_streams import pieces_of
from skyport_wf.digests import is_sha256
from skyport_wf.engine.build_inputs import EPOCH, build_arguments, csv_line, folder_outside, input_options, secret_mask
from skyport_wf.engine.build_output import LastLines, build_failure, line_of_output
from skyport_wf.engine.capabilities import default_network, has_buildkit, uses_containerd_store
from skyport_wf.engine.config_digests import find_by_config_digest
from skyport_wf.engine.connection import command_variables, engine_errors, without_password
from skyport_wf.engine.images import find_image, load_image
from skyport_wf.errors import BuildError, TemporaryError, UsageError
from skyport_wf.image.context import ignore_file
from skyport_wf.image.docker_command import DockerCommand, command_environment, find_docker_command

if TYPE_CHECKING:
    from docker import APIClient

    from skyport_wf.image.context import BuildContext
    from skyport_wf.image_list.spec import ImageSpec

_STEP_LINE = re.compile(r"#(?P<step>\d+) (?:(?P<second>\d+\.\d+) )?(?P<text>.*)")
_STAGE = re.compile(r"\[[^]]*\] ")
_MARKED = re.compile(r"\s*\d+ \| >>> (?P<text>.*)")
"""How buildx shows, behind its numbers, the lines of the Dockerfile that it cannot build."""
_ERROR: Final = "ERROR: "
_FAILED_PROCESS = re.compile(r"executor failed running \[|process .* did not complete successfully")
"""How BuildKit words that a RUN failed."""
_LAST_LINES: Final = 5
_LONGEST_LINE: Final = 1 << 20
_LONGEST_ARGUMENT: Final = 1 << 17
"""Bytes of one argument, or of a variable with its name, that Linux hands to a program (MAX_ARG_STRLEN)."""
_READ_BY_PROGRAMS: Final = re.compile(
    r"(?:BUILDKIT|BUILDX|COMPOSE|DOCKER|EXPERIMENTAL|JAEGER|OTEL|PROGRESS)_.*"  # docker and its plugins
    r"|GO[A-Z0-9]*|LD_.*|(?:GLIBC|MALLOC|RES)_.*|(?:GCONV|LOC|NLS)?PATH|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|TZ(?:DIR)?"
    r"|LC_.*|LANG(?:UAGE)?|COLORTERM|COLUMNS|LINES|NO_COLOR|TERM(?:INFO)?|HOME|LOGNAME|USER|TMPDIR|(?:OLD)?PWD|XDG_.*"
    r"|.*_PROXY|SSL_CERT_(?:DIR|FILE)|SSH_(?:AGENT|ASKPASS|AUTH).*|GIT_(?!.*TOKEN).*|DBUS_.*|GNUPGHOME|KUBECONFIG"
    r"|BASH_.*|ENV|IFS|PS4|SHELL(?:OPTS)?|PERL5.*|PYTHON[A-Z]*",  # what a script reads, as programs may be
    re.IGNORECASE,
)
"""Names of variables that change what docker's command does, or what it starts: git, helpers that keep passwords."""


def find_buildkit(client: APIClient) -> DockerCommand | None:
    """Return the first docker command in PATH that can build with BuildKit on this engine; None if there is none."""
    return find_docker_command() if has_buildkit(client) else None


def build_with_buildkit(
    client: APIClient, command: DockerCommand, image: ImageSpec, context: BuildContext, output: Callable[[str], None]
) -> str:
    """Do the work of `builders.build_image` with a docker command."""
    with folder_outside(context) as folder:
        id_file, dockerfile = folder / "id", context.dockerfile
        if context.without:
            # The command has no option for files to leave out. It looks for NAME.dockerignore beside a Dockerfile NAME.
            dockerfile = folder / "Dockerfile"
            dockerfile.write_bytes(context.dockerfile.read_bytes())
            (folder / "Dockerfile.dockerignore").write_bytes(ignore_file(context))
        # Build arguments go by the environment, if they can: a process's arguments are for all to read.
        given = {name: value for name, value in image.build_args.items() if not _is_for_programs(name)}
        secrets = filter(None, (secret.env for secret in image.secrets.values()))
        environment = {**command_environment(*secrets), **given, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"}
        # The command is to build in the engine that all else is done in, whatever `docker buildx use` has chosen.
        environment |= {**command_variables(), "BUILDX_BUILDER": "default"}
        # In containerd's store, a note of when it was built would give the same image another id with each build.
        environment["BUILDX_NO_DEFAULT_ATTESTATIONS"] = "1"
        arguments = [*_arguments(image, dockerfile, id_file, image.network or default_network(client))]
        exported = None
        if command.has_buildx and EPOCH in build_arguments(image) and uses_containerd_store(client):
            # The times of files that a RUN writes are those of the build; only an export to a file replaces them. With
            # Docker's classic store there is none: BuildKit passes over `rewrite-timestamp` there.
            exported = folder / "image.tar"
            arguments += ("--output", csv_line("type=docker", f"dest={exported}", "rewrite-timestamp=true"))
        # BuildKit keeps the files that it was sent, and takes one of the same path, size and time for the one of now.
        # Folders with the same last name are one to it, as buildx tells it no more: that name is made of the contents.
        contents = hashlib.sha256((context.digest or str(folder)).encode() + dockerfile.read_bytes()).hexdigest()
        # An absolute path cannot be taken for an option.
        root = folder / contents
        root.symlink_to(context.root.absolute(), target_is_directory=True)
        arguments = [command.path, "build", *arguments, str(root)]
        progress, mask = _Progress(), secret_mask(image.secrets)
        with _start(image.name, arguments, environment) as process:
            try:
                # A program may print gigabytes without a line's end.
                printed = cast(TextIO, process.stdout)
                for line in map(mask, iter(lambda: printed.readline(_LONGEST_LINE), "")):
                    progress.follow(without_password(line))
                    output(without_password(line))
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            # That an engine went away is no mistake of the image's: asking it says so.
            with engine_errors(f"building {image.name}"):
                client.ping()
            raise progress.failure(image)
        if exported:
            with exported.open("rb") as file:
                return load_image(client, pieces_of(file), image.name).id
        built = id_file.read_text().strip() if id_file.exists() else ""
        if not is_sha256(built):
            raise BuildError(f"building {image.name}: the docker command ended without saying which image it built")
        return _id_in_containerd(client, built, image.name) if uses_containerd_store(client) else built


def _id_in_containerd(client: APIClient, built: str, name: str) -> str:
    """Return what containerd's store calls the image that was built.

    built: as buildx writes it: without attestations the config digest, by which that store knows no image.
    Raises TemporaryError if it is gone: from an image that loses its only name to a build nothing is left there.
    """
    found = find_by_config_digest(client, built, named=name) or find_image(client, built)
    if found is None:
        raise TemporaryError(
            f"building {name}: another build in this engine has taken the name meanwhile, and the engine has dropped "
            "the image. Run it again."
        )
    return found.id


class _Progress:
    """Follows BuildKit's plain progress: `#5 [2/3] RUN make`, `#5 0.081 what it prints`, `#5 ERROR: why`."""

    def __init__(self) -> None:
        self._instructions: dict[str, str] = {}
        self._printed: dict[str, LastLines] = {}
        self._failed = ""
        self._said: deque[str] = deque(maxlen=_LAST_LINES)
        """Lines that belong to no step: at the end, the command's own reason."""
        self._marked: deque[str] = deque(maxlen=_LAST_LINES)

    def follow(self, line: str) -> None:
        """Take note of a line."""
        match = _STEP_LINE.match(line)
        if not match:
            # After a mistake in its arguments, the command says where to read about them.
            if marked := _MARKED.match(line):
                self._marked.append(marked["text"].rstrip())
            if line.startswith(_ERROR):
                # What stands before it shows the Dockerfile.
                self._said.clear()
            if line.strip() and not line.startswith(("See 'docker", "Run 'docker", "Usage:")):
                self._said.append(line_of_output(line))
            return
        step, text = match["step"], match["text"]
        if match["second"]:
            self._printed.setdefault(step, LastLines()).add(text + "\n")
        elif text.startswith(_ERROR):
            self._failed, self._said = step, deque([line_of_output(text)], maxlen=_LAST_LINES)
        else:
            self._instructions.setdefault(step, _STAGE.sub("", text, count=1))

    def failure(self, image: ImageSpec) -> BuildError:
        """Return the error that the lines tell of."""
        # Of a step that failed, the last line says why; of anything else, there may be several.
        reason = "\n".join([*self._said][-1:] if self._failed else self._said) or "the docker command failed"
        if not self._failed and _FAILED_PROCESS.search(reason):
            # Of builds that run the same step at one time, Docker 20.10 may tell but one what the step prints.
            reason += "\nThe engine gave none of its output; another build may have run the same step. Build it again."
        instruction, last = self._instructions.get(self._failed, ""), self._printed.get(self._failed)
        if not self._failed:
            instruction = "\n".join(self._marked)
        platform = image.normalized_platform
        return build_failure(image.name, instruction=instruction, reason=reason, last=last, platform=platform)


def _start(name: str, arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[str]:
    """Start the docker command. Raises UsageError if the system cannot hand it what the image list says."""
    options = ((f"{option} {text.partition('=')[0]}", text) for option, text in pairwise(arguments))
    for what, text in (*environment.items(), *options):
        if (size := len(os.fsencode(text))) + len(what) >= _LONGEST_ARGUMENT:
            raise UsageError(
                f"image {name}: the value of {line_of_output(what)} has {size:,} bytes, more than a command may be "
                "given. Put it into a file of the build context."
            )
    try:
        return subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", env=environment,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise UsageError(
            f"image {name}: the docker command cannot be started: {error}. If its build arguments and labels "
            "are large, put them into files of the build context."
        ) from error


def _is_for_programs(name: str) -> bool:
    """Return whether a build argument would be a setting of programs here, as a variable: PATH, HTTP_PROXY, ..."""
    return name in os.environ or _READ_BY_PROGRAMS.fullmatch(name) is not None


def _arguments(image: ImageSpec, dockerfile: Path, id_file: Path, network: str | None) -> Iterator[str]:
    yield from ("--tag", image.name, "--file", str(dockerfile), "--iidfile", str(id_file))
    for name, text in build_arguments(image).items():
        yield from ("--build-arg", f"{name}={text}" if _is_for_programs(name) else name)
    for label, text in image.labels.items():
        yield from ("--label", f"{label}={text}")
    for option, value in {
        "--target": image.target,
        "--platform": image.normalized_platform,
        "--network": network,
    }.items():
        if value:
            yield from (option, value)
    yield from input_options(image)
    if image.pull:
        yield "--pull"
    if image.no_cache:
        yield "--no-cache"
