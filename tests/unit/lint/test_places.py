"""Each finding has the line that it is on, also in heredocs; and what no shell runs is left alone."""

from skyport_wf.lint.dockerfile import lint_script
from tests.support.dockerfile_lint import DIGEST, told

LONG = f"""\
FROM debian:12@{DIGEST}
# first
RUN --mount=type=cache,target=/x \\
    set -e; \\
    # in between

    apt-get install \\
      samtools && \\
    git clone https://x.test/a
RUN <<EOF
set -e
apt-get install velvet

curl https://x.test/i | sh
EOF
RUN bash -e <<'EOF'
git clone https://x.test/b
EOF
RUN python3 <<EOF
apt-get install velvet
EOF
RUN <<EOF
#!/usr/bin/env python3
apt-get install velvet
EOF
RUN ["apt-get", "install", "bowtie2"]
ONBUILD RUN apt-get install bowtie2
RUN <<-one cat && <<two apt-get install z
\tFROM x
\tone
FROM y
two
"""


def test_every_finding_has_the_line_that_it_is_on():
    expected = [
        "12 SKY011", "14 SKY031", "17 SKY021", "26 SKY011", "27 SKY011", "28 SKY011", "7 SKY011", "9 SKY021",
    ]  # fmt: skip
    assert told(LONG) == expected


def test_a_script_that_no_shell_runs_is_left_alone():
    assert list(lint_script("#!/usr/bin/env python3\napt-get install a\n")) == []
    assert [found.line for found in lint_script("#!/usr/bin/env -S bash -e\napt-get install a\n")] == [2]
    assert [found.line for found in lint_script("#!/bin/sh\n\ncurl x \\\n | \\\n sh\n")] == [3]
