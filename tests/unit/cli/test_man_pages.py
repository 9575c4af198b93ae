"""The man pages come with the package, render without a warning, and say what `--help` says."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from skyport_wf.cli.parser import make_parser, verb_module
from skyport_wf.cli.verbs import VERBS
from tests.support.commands import CHECKOUT
from tests.support.timing import PATIENCE

pytestmark = pytest.mark.slow
PAGES = {"skyport-wf.1", *(f"skyport-wf-{verb}.1" for verb in VERBS)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the pages of the wheel, as pip would put them beside the command."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=CHECKOUT, check=True,
        capture_output=True, timeout=PATIENCE,
    )  # fmt: skip
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return next(folder.glob("*.data/data/share/man/man1"))


def shown(page: Path) -> str:
    """Return the page as `man` shows it, on a line for each paragraph."""
    if not shutil.which("man"):
        reason = "man is not installed (Debian: man-db)"
        pytest.fail(reason) if "CI" in os.environ else pytest.skip(reason)
    done = subprocess.run(
        ["man", "--warnings", "--local-file", page], capture_output=True, text=True, check=True,
        env={**os.environ, "MANWIDTH": "2000", "MANPAGER": "cat", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-c"},
    )  # fmt: skip
    assert done.stderr == "", page
    return re.sub(".\b", "", done.stdout)


def test_every_verb_has_its_page(pages: Path) -> None:
    assert {page.name for page in pages.iterdir()} == PAGES


def test_the_page_of_the_command_lists_all_verbs(pages: Path) -> None:
    words = " ".join(shown(pages / "skyport-wf.1").split())
    for verb, does in VERBS.items():
        assert f"{verb} {does}" in words
        assert f"skyport-wf-{verb}(1)" in words


@pytest.mark.parametrize("verb", ["publish", "show", "user", "completion", "find"])
def test_a_page_says_what_help_says(pages: Path, verb: str) -> None:
    parser = make_parser([verb])[1][verb]
    words = " ".join(shown(pages / f"skyport-wf-{verb}.1").split())
    assert words.startswith(f"SKYPORT-WF-{verb.upper()}(1)")
    assert f"skyport-wf {verb} [-h]" in words
    for option in set(re.findall(r"--[a-z][a-z-]+", parser.format_help())) - {"--help"}:
        assert option in words
    for example in verb_module(verb).EXAMPLES:
        assert " ".join(example.split()) in words
    # What only commands give each other is not for people.
    assert "--progress-to" not in words


def test_options_can_be_copied_from_a_page(pages: Path) -> None:
    for page in pages.iterdir():
        _, _, text = page.read_text().partition("\n")
        # troff may make a hyphen of its own of a minus, and end lines there.
        assert not re.search(r"(?<!\\)-", text), page
    done = subprocess.run(
        ["man", "--local-file", pages / "skyport-wf-run.1"], capture_output=True, text=True, check=True,
        env={**os.environ, "MANWIDTH": "80", "MANPAGER": "cat", "LC_ALL": "C.UTF-8", "MANROFFOPT": "-c"},
    )  # fmt: skip
    assert "\N{HYPHEN}" not in done.stdout
    words = re.sub(".\b", "", done.stdout).split()
    assert {"[--no-progress]", "[--network"} <= set(words)


def test_all_render_without_a_warning(pages: Path) -> None:
    for page in sorted(pages.iterdir()):
        assert "SEE ALSO" in shown(page)
