"""What lint says of line ends of Windows."""

import pytest

from skyport_wf.lint.rules.line_ends import check_line_ends
from tests.support.dockerfile_lint import PINNED, told


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
    ],
)
def test_line_ends_of_windows(script, line):
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
