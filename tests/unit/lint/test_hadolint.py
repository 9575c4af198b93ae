"""hadolint as `skyport-wf lint` runs it: what it cannot read by itself, and where it fails or is not there."""

import stat
import time

import pytest

from skyport_wf.image.instructions import read_instructions
from skyport_wf.lint.dockerfile import lint_dockerfile
from skyport_wf.lint.hadolint.readable_text import ReadableText
from skyport_wf.lint.hadolint.run import Hadolint, find_hadolint, run_hadolint
from skyport_wf.lint.hadolint.settings import LintSettings
from tests.support.dockerfile_lint import DIGEST
from tests.support.lint_folder import LintFolder
from tests.support.timing import allowance

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_heredocs_that_hadolint_cannot_read_by_itself(folder: LintFolder) -> None:
    folder.add(
        "Dockerfile",
        f"FROM a@{DIGEST}\nRUN <<EOF\ntrue\nEOF\n# no\nCOPY <<EOF /x\nx\nEOF\nRUN cd /x || exit\n",
    )
    assert folder.told() == ["9 DL3003"]


@pytest.mark.parametrize(
    "text",
    [
        "RUN <<-EOT\n\ttrue\n\tEOT\n",
        "RUN <<-'EOT' sh\n\t\ttrue\n\tEOT\n",
        "COPY <<-EOT <<EOU /x/\n\tx\n\tEOT\ny\nEOU\n",
        'COPY <<"E O T" /x\nx\nE O T\n',
        "RUN cat <<\\EOT\nx\nEOT\n",
        "RUN cat <<-\\EOT\n\tx\n\tEOT\n",
        "RUN cat <<!\nx\n!\n",
        "COPY <<.EOT /x\nx\n.EOT\n",
        "COPY <<E\\'T <<E\\ U /x/\nx\nE'T\ny\nE U\n",
        "RUN cat <<\\EOT >/a && cat <<! >/b\nit's\nEOT\n\"\n!\n",
        "ADD <<EOT /x\nx\nEOT\n",
        "add --chmod=644 <<EOT /x\nx\nEOT\n",
        "EXPOSE \"80\" '90/tcp'\n",
        "EXPOSE ${PORT:-80} ${OTHER-90}/tcp\n",
        "EXPOSE 80/sctp 81/SCTP $PORT/sctp \\\n  82/sctp\n",
        "EXPOSE 127.0.0.1:80:8080 127.0.0.1::8080/udp 80-81:90-91 :80 [::1]:80:80/sctp '1:2'\n",
        "CMD\n",
        "ONBUILD  cmd  \n",
        "RUN cat <<EOT >/a && cat <<-'EOU' >/b\nit's\nEOT\n\t\"\n\tEOU\n",
        "RUN --device=vendor.com/gpu=all --mount=type=tmpfs,target=/t true\n",
        "RUN --mount=type=cache,target=/a \\\n  --device=x \\\n  true\n",
        "RUN \\\n  --device=x \\\n  # no\n  --device \\\n\n  --network=none true\n",
        "ONBUILD RUN --device=x true\n",
        'RUN --mount="type=cache,target=/c" --network=\'none\' \\\n  --security="insecure" true\n',
        'RUN --mount="type=cache,target=/a b" true\n',
        'COPY --link="true" --from="b" x /y\n',
        "ONBUILD ADD <<EOF /x\na\nEOF\n",
        "ONBUILD \\\n  add --chmod=644 <<EOF /add\na\nEOF\n",
        "ONBUILD RUN cat <<A <<B\na\nA\nb\nB\n",
        'ONBUILD EXPOSE "80"\n',
        "HEALTHCHECK --interval=1m30s --timeout=500ms CMD true\n",
        "HEALTHCHECK --start-interval=1m0s \\\n  --start-period=.5h \\\n  --interval=0 CMD true\n",
        'HEALTHCHECK --interval="5s" --retries="3" CMD true\n',
        "ONBUILD HEALTHCHECK --interval=1h2m3s CMD true\n",
        "HEALTHCHECK none\nONBUILD HEALTHCHECK \\\n  None\n",
        "ENTRYPOINT\nONBUILD entrypoint\n",
        'ENV A=it\\\'s B={\\"b\\":1} \\\n  # no\n  C=\'d\\\' D="e\\\\"\n',
        "LABEL \"a\\\"b\"=c d=\\'e\nONBUILD LABEL a='b\\'\n",
        "RUN --mount=TYPE=cache,TARGET=/a,RO=1 --mount=type=secret,id=B,required=False true\n",
        "ARG S=shared\nRUN --mount=type=cache,target=/a,sharing=$S true\n",
        "COPY a <<EOT /x/\nx\nEOT\n",
        "COPY a\\\n  /x\n",
        "COPY --from=b /a\\ \n # comment\n\n\t/x\n",
        "ADD a\\\n  b\\\n  /x/\n",
        f"FROM a@{DIGEST}\\\n  AS b\n",
        "COPY --chmod=644 <<-EOT \\\n  a <<EOU \\\n  /x/\n\tx\n\tEOT\ny\nEOU\n",
        f"FROM localhost:5000/a/b@{DIGEST} AS b\n",
        f"FROM --platform=linux/amd64 registry:5000/b@{DIGEST}\n",
        f"FROM [::1]:5000/b@{DIGEST}\n",
    ],
)
def test_what_docker_takes_is_no_mistake(folder: LintFolder, text: str) -> None:
    """Forms that hadolint ends at, without a word on anything else."""
    folder.add("Dockerfile", f"FROM a@{DIGEST}\n{text}RUN cd /x || exit\n")
    assert [one for one in folder.told() if "DL1000" in one or "DL3003" in one] == [f"{2 + text.count(chr(10))} DL3003"]


@pytest.mark.parametrize("written", ["a", '"a"', "\\\n  a", "'.'", "é", '""'])
def test_a_folder_of_one_letter_ends_no_check(folder: LintFolder, written: str) -> None:
    """hadolint looked at its second letter, and all of its findings were lost."""
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nWORKDIR {written}\nRUN cd /x || exit\nWORKDIR /\n")
    lines = written.count("\n")
    assert folder.told() == ["2 DL3000", f"{3 + lines} DL3003"]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("RUN <<E bash\nset -o pipefail\na | b\nE\n", []),
        ("RUN <<E\n#!/usr/bin/env bash\nset -o pipefail\na | b\nE\n", []),
        ("RUN <<E\n#!/bin/bash -e\nsource x\nE\n", []),
        ("RUN <<E\n#!/bin/sh\nsource x\nE\n", ["2 SC3046"]),
        ("RUN <<E\na | b\nE\n", ["2 DL4006"]),
    ],
)
def test_a_script_is_read_as_one_of_the_shell_that_runs_it(folder: LintFolder, run: str, expected: list[str]) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\n{run}RUN a | b\nFROM a@{DIGEST}\n{run}")
    line = 2 + run.count("\n")
    again = [f"{line + 2} {one.split()[1]}" for one in expected]
    assert folder.told() == [*expected, f"{line} DL4006", *again]


def test_an_instruction_without_a_word_is_a_mistake(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nWORKDIR\nRUN cd /x || exit\n")
    assert folder.told() == ["2 DL1000", "3 DL3003"]


def test_directives_may_have_capitals(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"# Syntax=docker/dockerfile:1\n# ESCAPE=`\nFROM a@{DIGEST}\nRUN true `\n  && cd /x\n")
    assert "DL1000" not in "".join(folder.told())


@pytest.mark.parametrize(
    "instruction",
    [
        f"ADD git@github.com:x/y.git#{COMMIT} /x",
        f"ADD ssh://git@github.com/x/y.git#{COMMIT} /x",
        f'ADD --link \\\n  ["git://x.test/y.git#{COMMIT}", "/x"]',
        f"ONBUILD ADD git@[::1]:x/y.git#{COMMIT} /x",
    ],
)
def test_a_repository_is_no_file_that_is_added(folder: LintFolder, instruction: str) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\n{instruction}\nADD x/git@file /x\n")
    assert folder.told() == [f"{3 + instruction.count(chr(10))} DL3020"]


def test_options_that_are_mended_cause_no_other_finding(folder: LintFolder) -> None:
    text = (
        'RUN \\\n  --device=x \\\n  true && \\\n  cd /x || exit\nONBUILD RUN --device=x true\nCOPY --link="true" x /y\n'
    )
    folder.add("Dockerfile", f"FROM a@{DIGEST}\n{text}")
    assert folder.told() == ["2 DL3003"]


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ('"/bin/sh", "-c"', ["DL4006", "SC2006"]),
        ('"bash", "-c"', ["DL4006", "SC2006"]),
        ('"/usr/local/bin/bash", "-o", "pipefail", "-c"', ["SC2006"]),
        ('"conda", "run", "-n", "env", "/bin/bash", "-c"', ["DL4006", "SC2006"]),
        ('"/opt/conda", "run", "-n", "bash", "bash", "-eo", "pipefail", "-c"', ["SC2006"]),
        ('"/usr/bin/env", "bash", "-o", "pipefail", "-c"', ["SC2006"]),
        ('"/bin/busybox", "sh", "-c"', ["DL4006", "SC2006"]),
        ('"zsh", "-c"', ["DL4006"]),
        ('"/usr/bin/zsh", "-o", "pipefail", "-c"', []),
        ('"/usr/bin/python3", "-c"', []),
        ('"/usr/bin/env", "python3", "-c"', []),
        ('"python3", "-c"', []),
        ('"fish", "-c"', []),
        ('"Rscript", "-e"', []),
    ],
)
def test_a_run_is_read_as_its_shell_reads_it(folder: LintFolder, shell: str, expected: list[str]) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nSHELL [{shell}]\nRUN make\nWORKDIR /a\nRUN a | b `c`\n")
    assert folder.told() == [f"5 {code}" for code in expected]
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nONBUILD \\\n SHELL [ \\\n # no\n {shell}]\nONBUILD RUN a `b`\n")
    assert folder.told() == ["6 SC2006" for code in expected if code == "SC2006"]


def test_a_shell_that_docker_refuses_stays_a_mistake(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nSHELL bash -c\nRUN make\n")
    assert folder.told() == ["2 SKY005", "3 SC2239"]


@pytest.mark.parametrize("duration", ["1x", "1", "s", "1m30", "", "1 s"])
def test_what_is_no_duration_stays_a_mistake(folder: LintFolder, duration: str) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nHEALTHCHECK --interval='{duration}' CMD true\n")
    assert folder.told() == ["2 DL1000"]


@pytest.mark.parametrize(
    "text",
    [
        "RUN <<EOF cat > /etc/motd\nIt's fine (really\nEOF\n",
        "RUN --network=none <<-EOF python3\n\tif x: print('(')\n\tEOF\n",
        "ONBUILD RUN <<'EOF' python3\nif x: print('(')\nEOF\n",
        "RUN cat > /etc/motd <<EOF\nIt's fine (really\nEOF\n",
    ],
)
def test_what_a_program_reads_is_no_script(folder: LintFolder, text: str) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\n{text}")
    assert folder.told() == []


@pytest.mark.parametrize("ports", ["80/http", "80:", "127.0.0.1:80", "a:80", "1.2.3:80:80"])
def test_what_is_no_port_stays_a_mistake(folder: LintFolder, ports: str) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nEXPOSE {ports}\n")
    assert folder.told() == ["2 DL1000"]


def test_ports_and_scripts_are_looked_at_in_the_forms_that_hadolint_does_not_know(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\nEXPOSE 127.0.0.1:80:99999/sctp\nRUN <<EOF bash\necho $(\nEOF\n")
    assert folder.told() == ["2 DL3011", "3 SC1072"]


def test_a_mistake_hides_no_other_finding(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST} b c\nRUN cd /x || exit\nNONSENSE x\nRUN\nRUN cd /y || exit\n")
    assert folder.told() == ["1 DL1000", "2 DL3003", "3 DL1000", "4 DL1000", "5 DL3003"]


def test_many_mistakes_end_soon(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM a@{DIGEST}\n" + "NONSENSE\n" * 1000)
    assert folder.told() == [f"{line} DL1000" for line in range(2, 7)]


def test_what_is_no_dockerfile_is_said_with_its_line(folder: LintFolder) -> None:
    folder.add("Dockerfile", f"FROM debian@{DIGEST}\nRUN <<EOF\nx\nEOF\nNONSENSE x\n")
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
@pytest.mark.parametrize("instruction", ["RUN", "COPY"])
def test_a_megabyte_of_heredocs_is_made_readable_in_time(instruction: str) -> None:
    content = (f"{instruction} " + "<<\\E " * 200_000 + "x\n").encode()
    begun = time.process_time()
    ReadableText(content, read_instructions(content))
    assert time.process_time() - begun < 10


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
