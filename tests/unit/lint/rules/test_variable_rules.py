"""What lint says of variables without a value."""

import pytest

from tests.support.dockerfile_lint import DIGEST, PINNED, lint, told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY $A /x\n", ["2 SKY082"]),
        ("ARG A\nCOPY $A ${A}/x\n", []),
        ("ENV A=b B=$A\nENV C=$A\n", ["2 SKY082"]),
        ("ENV LD_LIBRARY_PATH=/usr/local/lib:$LD_LIBRARY_PATH\n", ["2 SKY082"]),
        ("ENV LIBRARY_PATH=/x\nENV LD_LIBRARY_PATH=/usr/local/lib:$LD_LIBRARY_PATH\n", ["3 SKY082"]),
        ("ENV A=/x:$A\nFROM debian@" + DIGEST + "\nENV A=/x:$A\n", ["2 SKY082", "4 SKY082"]),
        ("ENV B=$A\nFROM debian@" + DIGEST + "\nENV A=1\n", ["2 SKY081"]),
        ("COPY . /\nFROM scratch\nENV A=b B=$A\n", ["3 SKY042", "4 SKY081"]),
        ("ENV PATH=$PATH:/x\n", []),
        ("LABEL a='$X' b=\\$X c=\"\\$X\"\n", []),
        ('LABEL a="$X"\n', ["2 SKY082"]),
        ("RUN echo $X\nCMD echo $X\nENTRYPOINT $X\nHEALTHCHECK CMD $X\n", []),
        ("WORKDIR ${X:-/x}\nUSER ${X-y}\nLABEL a=${X:+y}\n", []),
        ("ENV X=/x${X:+:$X} Y=${Y+$Y/}y\nCOPY ${Z:+a${V+$Z$V}} /x\n", []),
        ("ENV X=/x${X:+:$X}\nFROM scratch\nCOPY . /\nENV Y=/y${Y:+:$Y}\n", []),
        ("LABEL a=${X:+$Y}$Z b=${Y:+y}$Y\nLABEL c=${V:-${W+w}$W}\n", ["2 SKY082"] * 2 + ["3 SKY082"]),
        ("LABEL a=${X:+x}$X\n", ["2 SKY082"]),
        ("USER $USER\nEXPOSE $P\nSTOPSIGNAL $S\nVOLUME $V\nADD $A /x\n", [f"{line} SKY082" for line in range(2, 7)]),
        ("ARG VERSION=1\nLABEL v=$VERSOIN\n", ["3 SKY082"]),
        ("FROM scratch\nARG VERSION=1\nCOPY . /\nLABEL v=$VERSOIN\n", ["5 SKY081"]),
        ("COPY $A /x\nARG A=1\n", ["2 SKY082"]),
        ("ENV T=$TARGETARCH\n", ["2 SKY081"]),
        ("ARG TARGETARCH\nENV T=$TARGETARCH\n", []),
        ("ARG A=$B\n", ["2 SKY082"]),
        ("ENV A b $C\n", ["2 SKY082"]),
        ("ENV A\tb\nENV B \t c\nENV C=$A$B\n", []),
        ('COPY ["$A", "/x"]\n', ["2 SKY082"]),
        ("ONBUILD COPY $A /x\n", []),
    ],
)
def test_variables_without_a_value(text, expected):
    assert told(PINNED + text) == expected


def test_variables_of_other_places():
    text = f"ARG G=1\nFROM debian:$G-$H@{DIGEST} AS a\nARG B=1\nENV E=$G\n"
    assert told(text) == ["2 SKY081", "4 SKY081"]
    assert told(f"{text}FROM a\nENV F=$B\nFROM scratch\nENV B=$B\nENV I=$NONE\nCOPY . /\n") == [
        "2 SKY081", "4 SKY081", "8 SKY081", "9 SKY081",
    ]  # fmt: skip
    (_, inside, *_) = lint(text)
    assert inside.message == (
        "`$G` is empty: it is declared outside of the stages, and has a value in those only that declare it again"
    )
    assert inside.instead == "`ARG G` above, in this stage"
    assert told(f"FROM debian:12${{V:+-$V}}@{DIGEST}\n") == []


@pytest.mark.parametrize("name", ["1", "@", "$", "#"])
def test_what_only_a_shell_has_a_value_of(name):
    """To declare it was the advice, which no builder takes."""
    (found,) = lint(f'{PINNED}LABEL price="${name}"\n')
    assert (found.code, found.message) == ("SKY081", f"`${name}` is empty: nothing declares it")
    assert found.instead == f"`\\${name}` if what reads it is to see it"


def test_a_name_that_is_like_another_may_be_the_base_images_own():
    (typo,) = lint("FROM scratch\nCOPY . /\nARG VERSION=1\nLABEL v=$VERSOIN\n")
    assert (typo.message, typo.instead) == ("`$VERSOIN` is empty: nothing declares it", "`$VERSION`")
    (other,) = lint(f"{PINNED}ARG NB_UID=1000\nCOPY --chown=${{NB_UID}}:${{NB_GID}} . /x\n")
    assert (other.code, other.instead) == ("SKY082", "`$NB_UID`, if that is meant")
    assert other.message == "`$NB_GID` is empty unless the base image declares it: nothing above does"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY <<EOF /x\n\ncat \"$A\" '$B' > ${C}\nEOF\n", ["4 SKY082"] * 3),
        ("ADD <<-EOF /x\n\t$A\n\tEOF\n", ["3 SKY082"]),
        ("COPY <<A <<'B' <<C /x/\n$A\nA\n$B\nB\n$C\n$A\nC\n", ["3 SKY082", "7 SKY082", "8 SKY082"]),
        ('COPY <<EOF /x\n$A\n$A ${B:-b} $PATH $(nproc) \\$C \\"$D\nEOF\n', ["3 SKY082", "4 SKY082"]),
        ("ARG A\nENV B=1\nCOPY <<EOF /x\n$A $B\nEOF\n", []),
        ("ARG VERSION=1\nCOPY <<EOF /x\n$VERSOIN $TARGETARCH\nEOF\n", ["4 SKY081", "4 SKY082"]),
        ("COPY <<EOF /x\nawk '{print $1}' \"$@\"\nEOF\n", ["3 SKY081"] * 2),
        ("COPY <<'EOF' /x\n$A\nEOF\nCOPY <<\"EOF\" /x\n$A\nEOF\n", []),
        ("RUN <<EOF\necho $A\nEOF\nRUN cat <<EOF >/x\n$A\nEOF\n", []),
    ],
)
def test_variables_of_heredocs(text, expected):
    assert told(PINNED + text) == expected


def test_what_to_write_instead_of_a_heredoc_with_variables():
    (found, first) = lint(f"{PINNED}COPY <<EOF /x\necho $A $1\nEOF\n")
    assert found.message == "`$A` is empty unless the base image declares it: nothing above does"
    quoted = '`<<"EOF"` if what reads the file is to see it'
    assert found.instead == f"{quoted}; or `ARG A` above, with a value, or `${{A:-}}`"
    assert (first.message, first.instead) == ("`$1` is empty: nothing declares it", quoted)


@pytest.mark.parametrize(
    "written",
    [
        *("${A^^}", "${A[0]}", "${A:0:3}", "${A/x}", "${A//x}", "${}", "${#A}", "${!A}", "${A=x}", "${A:=x}"),
        *("${A:-b", "${A", "${A:-${B,,}}", "${A//x/y"),
    ],
)
def test_what_builders_cannot_put_a_value_for(written):
    """They have a few of a shell's substitutions, and end at all others."""
    refused = ["2 SKY005"]
    for text in (f"LABEL a={written}\n", f'COPY "{written}" /x\n', f"ONBUILD ENV A={written}\n"):
        assert [one for one in told(f"FROM scratch\n{text}") if "SKY005" in one] == refused
    assert [one for one in told(f"ARG A=1\nFROM debian:{written}\n") if "SKY005" in one and "2" in one] == refused
    assert told(f"ARG A={written}\n{PINNED}") == ["1 SKY005"]
    assert "5 SKY005" in told(f"{PINNED}COPY <<EOF /x\n\n' \n{written}\nEOF\n")
    escaped = written.replace("$", "\\$")
    quoted = f"{PINNED}COPY <<'EOF' /x\n{written}\nEOF\nRUN echo {written}\nLABEL a='{written}' b={escaped}\n"
    assert [one for one in told(quoted) if "SKY005" in one] == []


@pytest.mark.parametrize(
    "written", ["${A}", "${A:-b}", "${A-}", "${A:+${A}}", "${A?no}", "${A#x}", "${A%%*.}", "${A/x/}", "${A//x/y}"]
)
def test_what_builders_can(written):
    assert told(f"{PINNED}ARG A=1\nLABEL a={written}\nCOPY <<EOF /x\n{written}\nEOF\n") == []


def test_a_long_substitution_is_told_by_its_beginning():
    (found,) = (one for one in lint(f"{PINNED}LABEL a=${{A^{'x' * 1000}}}\n") if one.code == "SKY005")
    assert found.message == f"`${{A^{'x' * 76}`: builders know no such substitution, and the build fails"
    assert found.instead == "`${NAME}` with `:-`, `:+`, `:?`, `#`, `%` or `/.../...` behind the name"
