"""What lint says of line ends of Windows."""

from pathlib import Path

import pytest

from skyport_wf.image.context import BuildContext
from skyport_wf.lint.rules.line_ends import check_line_ends
from tests.support.dockerfile_lint import DIGEST, PINNED, lint, told


@pytest.mark.parametrize(
    ("script", "line"),
    [
        (b"#!/bin/sh\r\nls\r\n", 1),
        (b"#!/usr/bin/env python3\r\nprint()\n", 1),
        (b"#!/bin/sh\nls\n\nls\r\n", 4),
        (b"ls\r\n", 1),
        (b"#!/bin/sh\nls\n", None),
        (b"#!/usr/bin/env python3\nprint()\r\n", None),
        (b"printf 'a\rb'\n", None),
        (b"", None),
        (b"\xef\xbb\xbf#!/bin/bash\nls\n", 1),
        (b"\xef\xbb\xbfls\n", 1),
        (b"ls \xef\xbb\xbf\n", None),
    ],
)
def test_scripts_that_were_saved_as_on_windows(script, line):
    assert [one.line for one in check_line_ends(script.decode())] == ([line] if line else [])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RUN <<EOF\nset -e\ntrue\nEOF\n", ["3 SKY091"]),
        ("RUN --network=none \\\n  <<-EOF\n\t#!/bin/sh\n\ttrue\n\tEOF\n", ["4 SKY091"]),
        ("RUN <<EOF\n#!/usr/bin/env python3\nprint()\nEOF\n", ["3 SKY091"]),
        ("RUN bash -e <<EOF\ntrue\nEOF\n", ["3 SKY091"]),
        ("RUN cat <<EOF >/etc/x\ntrue\nEOF\n", []),
        ("RUN python3 <<EOF\nprint()\nEOF\n", []),
        ("RUN <<EOF\nEOF\n", []),
        ("RUN true\n", []),
        ("COPY <<EOF /usr/bin/tool\n#!/bin/bash\ntrue\nEOF\n", ["3 SKY091"]),
        ("COPY <<one <<two /x/\na\none\n#!/bin/bash\ntwo\n", ["5 SKY091"]),
        ("COPY <<EOF /etc/tool.conf\na=b\nEOF\n", []),
        ("ONBUILD ADD <<EOF /usr/bin/tool\n#!/bin/bash\ntrue\nEOF\n", ["3 SKY091"]),
        ("RUN <<EOF\ncat <<X >/x\nX\napt-get install samtools\nEOF\n", ["3 SKY091", "5 SKY011"]),
    ],
)
def test_line_ends_of_windows_in_heredocs(text, expected):
    assert told((PINNED + text).replace("\n", "\r\n")) == expected
    assert "SKY091" not in "".join(told(PINNED + text))


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    for name, content, mode in (
        ("run.sh", b"#!/bin/bash\r\ntrue\r\n", 0o644),
        ("tools/a.py", b"#!/usr/bin/env python3\r\n", 0o755),
        ("tools/b.py", b"#!/usr/bin/env python3\r\n", 0o644),
        ("tools/wide.sh", "#!/bin/sh\n".encode("utf-16"), 0o644),
        ("tools/mark.py", b"\xef\xbb\xbf#!/usr/bin/env python3\n", 0o755),
        ("good/c.sh", b"#!/bin/sh\ntrue\n", 0o755),
        ("good/d.txt", b"a\r\n", 0o644),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
    (tmp_path / "tools/link").symlink_to("nowhere")
    (tmp_path / "Dockerfile").write_text("")
    (tmp_path / ".dockerignore").write_text("tools/a*\n")
    return BuildContext(tmp_path, tmp_path / "Dockerfile")


@pytest.mark.parametrize(
    ("instruction", "files"),
    [
        ("COPY run.sh /x/", ["run.sh"]),
        ("COPY good /x/", []),
        ("COPY . /x/", ["run.sh", "tools/mark.py", "tools/wide.sh"]),
        ("COPY tools /x/", ["tools/mark.py", "tools/wide.sh"]),
        ("COPY t* *.sh /x/", ["tools/mark.py", "tools/wide.sh", "run.sh"]),
        ("COPY tools/b.py /x/", []),
        ("COPY tools/b.py /usr/local/bin/b", ["tools/b.py"]),
        ("ADD --chmod=755 tools/b.py /x/", ["tools/b.py"]),
        ("ARG A=run\nCOPY $A.sh /x/", ["run.sh"]),
        ("COPY [ $UNKNOWN missing /x/", []),
        ("COPY run.sh", []),
        (f"COPY --from=debian@{DIGEST} run.sh /x/", []),
        ("COPY run.sh /x/\nRUN dos2unix /x/run.sh", []),
        ("COPY run.sh /x/\nRUN <<EOF\nsed -i 's/\\r$//' /x/*\nEOF", []),
    ],
)
def test_scripts_of_the_context_that_no_system_starts(context, instruction, files):
    found = [one.message for one in lint(f"{PINNED}{instruction}\n", context=context) if one.code == "SKY092"]
    assert [text.split("`")[1] for text in found] == files
