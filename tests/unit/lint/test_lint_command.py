"""`skyport-wf lint` on Dockerfiles: hadolint and our rules together, levels, and bad input."""

import json
import os
import subprocess

import pytest

from skyport_wf.lint.catalogue import RULES
from skyport_wf.lint.hadolint.run import find_hadolint
from tests.support.commands import SKYPORT
from tests.support.dockerfile_lint import DIGEST, PINNED
from tests.support.lint_folder import BAD, LintFolder

TOLD = ["1 SKY002", "2 SKY011", "2 DL3009", "2 DL3015", "3 DL3003", "3 SC2164"]


def test_hadolint_and_our_rules_are_told_together(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD)
    assert folder.told() == TOLD
    ours, _, theirs, *_ = [found for found in folder.findings() if found["line"] == 2]
    assert set(ours) == {"file", "line", "code", "level", "message", "instead", "source"}
    assert (ours["file"], ours["level"], ours["source"]) == ("Dockerfile", "warning", "skyport-wf")
    assert ours["instead"].startswith("`samtools=VERSION`")
    assert (theirs["code"], theirs["source"], theirs["instead"]) == ("DL3015", "hadolint", None)


@pytest.mark.slow
def test_what_hadolint_says_itself_of_the_same_file(folder: LintFolder) -> None:
    """Only what our own rules tell is left out."""
    folder.add("Dockerfile", BAD + "RUN pip install a\nUSER root\nFROM a\nFROM b:latest\n")
    program = find_hadolint().program
    assert program
    own = json.loads(
        subprocess.run(
            [program, "--format", "json", "--no-fail", "Dockerfile"], cwd=folder.folder, capture_output=True, check=True
        ).stdout
    )
    expected = {
        (one["line"], one["code"], one["level"]) for one in own if one["code"] not in ("DL3006", "DL3007", "DL3008")
    }
    found = {(one["line"], one["code"], one["level"]) for one in folder.findings() if one["source"] == "hadolint"}
    assert found == expected
    assert {"DL3006", "DL3007", "DL3008"} <= {one["code"] for one in own}


def test_the_text(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    done = folder.lint("--dockerfile", "Dockerfile")
    assert done.code == 3
    assert done.out.splitlines()[0] == (
        "Dockerfile:1: warning SKY001: `debian` has no tag: each build takes whatever is newest on that day"
    )
    assert done.out.splitlines()[1].startswith("    instead: `debian:TAG@sha256:DIGEST`")
    assert done.out.splitlines()[2] == "1 file: 1 finding, 1 of them at `warning` or worse"
    assert done.log == ""


@pytest.mark.parametrize(
    ("level", "code", "shown"),
    [
        ("error", 0, []),
        ("warning", 3, ["SKY011"]),
        ("info", 3, ["SKY002", "SKY011", "DL3015"]),
        ("style", 3, ["SKY002", "SKY011", "DL3015"]),
        ("none", 0, []),
    ],
)
def test_levels(folder: LintFolder, level: str, code: int, shown: list[str]) -> None:
    folder.add("Dockerfile", "FROM debian:12\nRUN apt-get install -y samtools\n")
    done = folder.lint("--dockerfile", "Dockerfile", "--level", level)
    assert done.code == code
    assert [name in done.out for name in ("SKY002", "SKY011", "DL3015")] == [True] * 3
    quiet = folder.lint("--quiet", "--dockerfile", "Dockerfile", "--level", level)
    assert quiet.code == code
    assert [line.split()[2].rstrip(":") for line in quiet.out.splitlines() if "instead: " not in line] == shown


def test_an_error_is_one_at_every_level(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM scratch\n")
    assert folder.told() == ["1 SKY042"]
    assert folder.lint("--dockerfile", "Dockerfile", "--level", "error").code == 3


# Bad input


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ["1 SKY003"]),
        (b"\n\n# nothing\n", ["1 SKY003"]),
        (PINNED.encode() + b"RUN true \\", []),
        (PINNED.encode() + b"ONBUILD\n", []),
        (PINNED.encode() + b"RUN true \\\n\n\n", []),
        ("\ufeffFROM debian\r\nRUN true\r\n".encode(), ["1 SKY001"]),
        (b"FROM debian\n# \xe9\n", ["1 SKY001"]),
        ("FROM debian\n".encode("utf-16"), ["1 SKY003", "1 SKY091"]),
        (b"# escape=x\n" + PINNED.encode(), ["1 SKY005"]),
    ],
)
def test_odd_files(folder: LintFolder, content: bytes, expected: list[str]) -> None:
    folder.add("Dockerfile", content)
    assert [one for one in folder.told() if "SKY" in one] == expected


def test_a_binary_file_is_no_dockerfile(folder: LintFolder) -> None:
    folder.add("Dockerfile", bytes(range(256)) * 20)
    done = folder.lint("--dockerfile", "Dockerfile")
    assert done.code == 3
    assert "Dockerfile:1: error DL1000: unexpected" in done.out
    assert all(character.isprintable() or character == "\n" for character in done.out)


def test_heredocs_without_an_end(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM debian@{DIGEST}\nRUN <<EOF\napt-get install a\n")
    assert "3 SKY011" in folder.told()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "skyport-wf: cannot read missing: No such file or directory"),
        (".", "skyport-wf: cannot read .: Is a directory"),
        ("large", "skyport-wf: cannot read large: it has more than 1 MiB"),
        ("pipe", "skyport-wf: cannot read pipe: it is a device or pipe"),
        ("/dev/zero", "skyport-wf: cannot read /dev/zero: it is a device or pipe"),
    ],
)
def test_files_that_cannot_be_read(folder: LintFolder, name: str, message: str) -> None:
    folder.add("large", b"RUN a\n" * 200_000)
    os.mkfifo(folder.folder / "pipe")
    done = folder.lint("--dockerfile", name)
    assert (done.code, done.out, done.log.strip()) == (2, "", message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a/b:1", "--dockerfile", "x"], "name either images of the list, or files with --dockerfile or --cwl"),
        (["--engine", "--dockerfile", "x"], "--engine looks into images: name images of the list"),
        (["--cwl", "x", "--dockerfile", "y"], "not allowed with argument"),
        (["--level", "bad"], "there is no bad; it takes error, warning, info, style, none"),
        (
            ["--level", "info", "--cwl", "x"],
            "--level info is not for these files: give one of failure, loss, note, none",
        ),
        (["--level", "loss", "--dockerfile", "x"], "--level loss is not for these files: give one of error, warning"),
        (["--ignore", "SKY001", "--cwl", "x"], "--ignore is for the rules of Dockerfiles"),
        (["--packed"], "--packed is for CWL documents: name them with --cwl"),
        ([], "there is no images.yaml"),
    ],
)
def test_a_wrong_command_line(folder: LintFolder, arguments: list[str], message: str) -> None:
    done = folder.lint(*arguments)
    assert done.code == 2
    assert message in done.log


def test_what_init_writes_passes(folder: LintFolder) -> None:
    subprocess.run([SKYPORT, "init", "."], cwd=folder.folder, check=True, capture_output=True)
    done = folder.lint()
    assert done.code == 0, done.out


def test_every_rule_has_a_code_of_its_own():
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
