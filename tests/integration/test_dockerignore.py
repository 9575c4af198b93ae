"""`.dockerignore` as the docker command of this machine reads it, through BuildKit, on files and patterns at random."""

import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from skyport_wf.errors import SkyportError
from skyport_wf.image.context import BuildContext, list_context
from skyport_wf.image.docker_command import DockerCommand, find_docker_command

PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
"""Without the explanation, which takes hundreds of builds."""
GROUPS = 25
"""Folders of one context, each with files and patterns of its own: many cases for one build."""


@pytest.fixture(scope="module")
def command(engine: str) -> DockerCommand:
    found = find_docker_command()
    if found is None:
        message = "no docker command in PATH can build with BuildKit"
        pytest.fail(message) if "CI" in os.environ else pytest.skip(message)
    return found


def write(folder: Path, files: set[str], ignore: bytes) -> BuildContext:
    for name in files:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (folder / ".dockerignore").write_bytes(ignore)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    return BuildContext(folder, folder / "Dockerfile")


def in_image(command: DockerCommand, context: BuildContext) -> set[str] | None:
    """Return the paths in the image that `COPY . /` makes of the context; None if docker refuses to build."""
    done = subprocess.run(
        [command.path, "build", "--quiet", "--output", "type=tar,dest=-", str(context.root)],
        env={**os.environ, "DOCKER_BUILDKIT": "1"}, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        # The last is what becomes of control characters, sent in headers.
        assert any(words in done.stderr for words in (b"pattern", b"token too long", b"PROTOCOL_ERROR")), done.stderr
        return None
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        return {member.name.rstrip("/") for member in tar}


def listed(context: BuildContext) -> set[str]:
    # It is sent whatever it says of itself, since the classic builder looks for it.
    return set(list_context(context)) - {".dockerignore"}


def assert_read_alike(command: DockerCommand, context: BuildContext) -> None:
    found = in_image(command, context)
    try:
        ours = listed(context)
    except SkyportError as error:
        assert re.search(r"docker refuses the pattern|docker reads no such line", str(error))
        assert found is None or only_new_ones_take(context)
    else:
        assert found is not None
        assert ours == found - {".dockerignore"}


def only_new_ones_take(context: BuildContext) -> bool:
    """Return whether a pattern may have a control character, which older dockers send as it is, and fail.

    Newer ones encode all patterns where one is not ASCII, and take it then.
    """
    ignore = (context.root / ".dockerignore").read_bytes()
    return b"\r" in ignore and not ignore.isascii()


NAMES = st.sampled_from(
    ["a", "A", "b", "ab", "R", "a.b", "foo", "xfoo", "Foo", "keep", "a b", "[x]", "-", "!n", "#h", "^a", "1", "ü",
     "a+b", "(a)", "a\\b", "{x}", "*"]
)  # fmt: skip
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
PIECES = st.sampled_from(
    ["a", "A", "b", "R", "foo", "keep", "x", "1", "ü", "*", "?", "**", "a*", "*b", "**foo", "[a-c]", "[^a]", "[^x]",
     "[!a]", "[a\\-z]", "[[:alpha:]]", "[a*]", "[a?]", "[\\^a]", "[\\]x]", "\\a", "\\[", "\\#", "\\ ", "\\-", "\\!",
     "\\d", "\\w", "\\*", "]", "^", "!", "#", " ", ".", "-", "+", "..", "a+b", "(a)"]
)  # fmt: skip
BAD_PIECES = st.sampled_from(["[", "[]a]", "[a-]", "[a-b-c]", "[z-a]", "\\", "\\y", "(", "!"])
PARTS = st.one_of(NAMES, st.lists(PIECES, min_size=1, max_size=3).map("".join))
PATTERNS = st.tuples(
    st.sampled_from(["", "", "", "!", "! "]),
    st.lists(PARTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "", "/", "/**", "/*", " ", "\r"]),
).map("".join)


def without_folders(paths: list[str]) -> set[str]:
    """Return the paths below which there are no others."""
    return {one for one in paths if not any(other.startswith(f"{one}/") for other in paths)}


@st.composite
def group(draw: st.DrawFn, name: str) -> tuple[set[str], list[str]]:
    """Return files below a folder, and patterns, most of them about it."""
    files = without_folders(draw(st.lists(PATHS, min_size=2, max_size=7)))
    patterns = draw(st.lists(st.one_of(PATTERNS, st.sampled_from(sorted(files))), min_size=1, max_size=4))
    lines = []
    for pattern in patterns:
        exception = "!" if pattern.startswith("!") else ""
        about = pattern.removeprefix("!").lstrip()
        lines.append(f"{exception}{name}/{about}")
    return {f"{name}/{file}" for file in files}, lines


@settings(
    max_examples=12,
    phases=PHASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    groups=st.tuples(*(group(f"g{number}") for number in range(GROUPS))),
    general=st.lists(PATTERNS, max_size=2),
    bom=st.booleans(),
)
def test_hundreds_of_files_and_patterns(command, tmp_path_factory, groups, general, bom):
    files = set().union(*(files for files, _ in groups))
    lines = [*general, *(line for _, lines in groups for line in lines)]
    ignore = b"\xef\xbb\xbf" * bom + "\n".join(lines).encode()
    assert_read_alike(command, write(tmp_path_factory.mktemp("context"), files, ignore))


@settings(max_examples=25, phases=PHASES, deadline=None)
@given(
    files=st.lists(PATHS, min_size=2, max_size=7).map(without_folders),
    patterns=st.lists(st.one_of(PATTERNS, st.tuples(PATTERNS, BAD_PIECES).map("".join)), min_size=1, max_size=3),
)
def test_patterns_that_docker_may_refuse(command, tmp_path_factory, files, patterns):
    assert_read_alike(command, write(tmp_path_factory.mktemp("context"), files, "\n".join(patterns).encode()))


EVERYDAY = {
    "R/count.R",
    "r/x",
    "Data/t",
    "data",
    "src/a.py",
    "src/deep/b.py",
    "src/deep/c.txt",
    "secret.key",
    "node_modules/x/y",
}
EXAMPLES = {
    "upper and lower case": b"r\ndata\n",
    "a class and its opposite": b"[^x]*\n",
    "escapes": b"\\s\\ecret.key\n\\#x\n",
    "a byte order mark": b"\xef\xbb\xbfsecret.key\n",
    "only what is named": b"*\n!src\n",
    "only what is named, deep": b"**\n!**/*.py\n",
    "an exception and back": b"src\n!src/deep\nsrc/deep/c.txt\n",
    "an exception for nothing": b"src\n!src/none\n",
    "the same folder twice": b"src\n!src/deep\nsrc\n",
    "a folder of an ignored one": b"src/deep\n!src\n",
    "below anything": b"**/deep\n!src/deep/c.txt\n",
    "not UTF-8": b"\xff\ndata\n",
    "a comment only at the very beginning": b"#data\n data\n",
    "the longest line": b"data\n" + b"x" * 65535 + b"\nR\n",
    "too long a line": b"data\n" + b"x" * 65536 + b"\nR\n",
    "nothing": b"",
    "only an exclamation mark": b"!\n",
    "an open class": b"[\n",
}  # fmt: skip


@pytest.mark.parametrize("ignore", EXAMPLES.values(), ids=EXAMPLES)
def test_examples(command, tmp_path, ignore):
    assert_read_alike(command, write(tmp_path, EVERYDAY, ignore))


@pytest.mark.parametrize("target", ["ignore", "/ignore", "../ignore", "../../outside", "nowhere", "src", None])
def test_a_dockerignore_that_is_a_link_or_a_folder(command, tmp_path, target):
    (tmp_path / "outside").write_text("src\n")
    context = write(tmp_path / "a/context", EVERYDAY | {"ignore"}, b"")
    (context.root / "ignore").write_text("R\n")
    (context.root / ".dockerignore").unlink()
    if target:
        (context.root / ".dockerignore").symlink_to(target)
    else:
        (context.root / ".dockerignore").mkdir()
    assert_read_alike(command, context)


@pytest.mark.parametrize("own", [b"", b"R\n", None])
def test_the_dockerfiles_own_dockerignore(command, tmp_path, own):
    context = write(tmp_path, EVERYDAY, b"src\n")
    path = tmp_path / "Dockerfile.dockerignore"
    path.write_bytes(own) if own is not None else path.mkdir()
    assert_read_alike(command, context)
