"""What lint says of COPY and ADD, whose files the context has or lacks."""

from pathlib import Path

import msgspec
import pytest

from skyport_wf.image.context import BuildContext
from tests.support.dockerfile_lint import DIGEST, PINNED, lint, told


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    for name in ("a.txt", "src/main.c", "src/deep/x", "Data/t", "secret.key", "[odd]"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "link").symlink_to("src")
    for name, target in {
        "dangling": "nowhere", "to itself": "to itself", "to secret": "secret.key", "absolute": "/a.txt",
        "to deep": "link/deep", "to main": "link/../link/main.c", "twice": "to main", "to all": "../..",
    }.items():  # fmt: skip
        (tmp_path / name).symlink_to(target)
    (tmp_path / "Dockerfile").write_text("")
    (tmp_path / ".dockerignore").write_text("secret.key\nsrc/deep\n")
    return BuildContext(tmp_path, tmp_path / "Dockerfile")


@pytest.mark.parametrize(
    ("instruction", "codes"),
    [
        ("COPY a.txt /x", []),
        ("COPY ./a.txt src /x/", []),
        ("COPY /src/main.c /../a.txt src/../Dockerfile /x/", []),
        ("COPY ../a.txt src/../../src a.txt /x/", ["SKY077"] * 2),
        ("COPY .. /x/", ["SKY077"]),
        ("ADD ../*.txt /x/", ["SKY077"]),
        ("COPY ../missing /x/", ["SKY071"]),
        ("COPY . /x", []),
        ("COPY / /x", []),
        ('COPY ["a.txt", "/x"]', []),
        ("COPY --chown=1:1 --link a.txt /x", []),
        ("COPY missing /x", ["SKY071"]),
        ("COPY dangling /x", ["SKY071"]),
        ("COPY dang* a* tw* /x/", ["SKY071"]),
        ("COPY --parents dang* /x/", []),
        ('COPY ["to itself", "to secret", "to deep", "/x/"]', ["SKY071", "SKY071", "SKY071"]),
        ('COPY ["absolute", "to main", "twice", "to all", "link", "/x/"]', []),
        ('COPY --chown=1:1 "a.txt" \'src/main.c\' "/x/"', []),
        ("COPY a\\ b.txt /x/", ["SKY071", "SKY071"]),
        ("COPY a.txt\tsrc\v /x/", []),
        ("COPY a.txt missing /x/", ["SKY071"]),
        ("ADD src/missing.c /x", ["SKY071"]),
        ("COPY data/t /x", ["SKY071"]),
        ("COPY secret.key /x", ["SKY072"]),
        ("COPY src/deep/x /x", ["SKY072"]),
        ("COPY *.txt src/*.[ch] /x/", []),
        ("COPY *.md /x/", ["SKY074"]),
        ("COPY **/a.txt /x/", ["SKY074"]),
        ("COPY **/main.c s**c/m**.c **.txt /x/", []),
        ("COPY ** /x/", ["SKY071"] * 4),
        ("COPY src/**/x /x/", ["SKY074"]),
        ("COPY --parents **/a.txt src/**/main.c ./src/./**/main.? **/t ** /x/", []),
        ("COPY --parents=true **/main.c /**/Data/* /x/", []),
        ("COPY --parents src/**/x **/*.md **/[x /x/", ["SKY074"] * 3),
        ("COPY --parents=false **/a.txt /x/", ["SKY074"]),
        ("COPY --parents missing src/./missing dangling /x/", ["SKY071"] * 2),
        ("COPY *.[^t]?? /x/", ["SKY074"]),
        ("COPY [a-c].tx\\t /x/", []),
        ("COPY a.txt *.md more* /x/", []),
        ("COPY *.md [a-c].txt /x/", []),
        ("ADD *.md https://x.test/missing.git /x/", ["SKY021"]),
        ("COPY *.md $UNKNOWN /x/", []),
        ("COPY *.md <<EOF /x/\nmissing\nEOF", []),
        ("COPY *.md missing /x/", ["SKY071"]),
        ("COPY *.md more* /x/", ["SKY074"] * 2),
        ("COPY a.txt *.md [ /x/", ["SKY074"]),
        ("COPY [^b-z].t[x-y]\\t /x/", []),
        ("COPY *main.c /x/", ["SKY074"]),
        ("COPY [ /x/", ["SKY074"]),
        ("COPY secret* /x/", ["SKY074"]),
        ("COPY [[]odd] /x/", []),
        ("COPY link/main.c link/deep/x /x/", []),
        ("COPY $UNKNOWN/x ${A:-a.txt} /x/", []),
        ("COPY ${A:-missing} /x/", ["SKY071"]),
        ('COPY ${A:-"a.txt"} "${A:-"a.txt"}" /x/', []),
        ("ARG A=a\nCOPY ${A:-missing}.txt ${A-missing}.txt ${A:+Data/t} ${B+missing}a.txt /x/", []),
        ("ARG A=missing\nCOPY ${A:-a.txt} /x/", ["SKY071"]),
        ('ARG A=a\nCOPY ["${A:-missing}.txt", "/x/"]', []),
        ("COPY --from=other missing /x", ["SKY001"]),
        ("ADD https://x.test/missing /x", ["SKY032"]),
        ("ADD https://x.test/missing.git /x", ["SKY021"]),
        ("COPY <<EOF /x\nmissing\nEOF", []),
        ("ONBUILD COPY missing /x", []),
        ("RUN cp missing /x", []),
        ("COPY missing", []),
        ("RUN --mount=type=bind,source=missing,target=/x true", ["SKY071"]),
        ("RUN --network=none --mount=src=./secret.key,target=/x --mount=Source=/src,target=/y true", ["SKY072"]),
        ('RUN --mount="source=data/t,target=/x" --mount=source=*.txt,target=/y true', ["SKY071", "SKY071"]),
        ("ARG A=a\nRUN --mount=source=${A}.txt,target=/x --mount=source=$B,target=/y true", []),
        ("RUN --mount=target=/x --mount=source=/,target=/y --mount=source=link/main.c,target=/z true", []),
        ("RUN --mount=type=cache,source=missing,target=/x --mount=type=secret,id=missing true", []),
        (f"RUN --mount=from=debian@{DIGEST},source=missing,target=/x true", []),
    ],
)
def test_files_that_the_context_lacks(context, instruction, codes):
    found = [one.code for one in lint(f"{PINNED}{instruction}\n", context=context) if one.code != "SKY082"]
    assert found == codes
    assert "SKY07" not in "".join(one.code for one in lint(f"{PINNED}{instruction}\n"))


@pytest.mark.parametrize(
    ("instruction", "instead"),
    [
        ('COPY "a b.txt" /x/', '`COPY ["a b.txt", "/x/"]`'),
        ("COPY --from=one --chown=1:1 'ä b' \"$A/c d\" /x/", '`COPY --from=one --chown=1:1 ["ä b", "$A/c d", "/x/"]`'),
        ('ADD "https://me:hunter2@x.test/a b" /x', '`ADD ["https://x.test/a b", "/x"]`'),
        ('VOLUME "/c d"', '`VOLUME ["/c d"]`'),
        ('ONBUILD COPY "a b" /x', '`COPY ["a b", "/x"]`'),
        ('COPY "it\'s a.txt" /x/', "paths without blanks and quotes"),
        ("COPY it's.txt /x/", "paths without blanks and quotes"),
        ('COPY <<"a b" /x\na b', "paths without blanks and quotes"),
    ],
)
def test_a_blank_in_quotes_is_one_to_docker(context, instruction, instead):
    text = f"{PINNED[:-1]} AS one\n{PINNED}ARG A\n{instruction}\n"
    for found in (lint(text), lint(text, context=context)):
        (quote,) = (one for one in found if one.code.startswith("SKY07"))
        assert (quote.code, quote.line, quote.instead) == ("SKY075", 4, instead)
        assert quote.message == (
            f"a quote does not end: {instruction.removeprefix('ONBUILD ').partition(' ')[0]} is split at each blank,"
            " whatever the quotes say, and the build fails"
        )


@pytest.mark.parametrize(
    "instruction",
    ['COPY ["a b", "/x"]', "VOLUME /c\\ d", 'RUN "a b"', 'WORKDIR "/a b"', 'LABEL a="b c"', 'COPY "${A:-"x"}" /y'],
)
def test_other_blanks_and_quotes_are_none_of_those(instruction):
    assert "SKY075" not in "".join(told(f"{PINNED}ARG A\n{instruction}\n"))


@pytest.mark.parametrize("pattern", ["[", "src/[a-", "*[]", "a[-c]"])
def test_a_malformed_pattern_of_files_is_called_so(context, pattern):
    (found,) = (one for one in lint(f"{PINNED}COPY {pattern} /x/\n", context=context) if one.code == "SKY074")
    assert found.message == f"the pattern `{pattern}` is malformed, so that no file of the context matches it"
    assert "`[[]` is a bracket" in (found.instead or "")


def test_stages_behind_the_one_that_is_built_are_left_alone(context):
    behind = "FROM debian:$TAG\nCOPY secret.key missing /x/\nRUN apt-get install a\nENV A=$B\n"
    text = f"FROM debian@{DIGEST} AS one\nCOPY a.txt /x\n{behind}"
    assert told(text, context=context, target="one") == []
    (context.root / ".dockerignore").write_text("[\n")
    assert told(f"FROM debian@{DIGEST} AS one\n{behind}", context=context, target="one") == []
    assert "3 SKY081" in told(text)


def test_a_path_that_leads_out_is_told_with_what_builders_make_of_it(context):
    (found,) = lint(f"{PINNED}COPY ../a.txt /x/\n", context=context)
    assert found.message == (
        "`../a.txt` leads out of the context: BuildKit takes `a.txt` in it, the classic builder fails"
    )
    assert found.instead == "`a.txt`, or as `context` the folder that has the file"


def test_a_file_is_told_with_what_to_write(context):
    (other_case,) = lint(f"{PINNED}COPY data/t /x\n", context=context)
    assert (other_case.message, other_case.instead) == ("`data/t` is not in the context: the build fails", "`Data/t`")
    (ignored,) = lint(f"{PINNED}COPY secret.key /x\n", context=context)
    assert ignored.message == (
        "`secret.key` is no part of the context, as `.dockerignore` excludes it: the build fails"
    )
    assert ignored.instead == "`!secret.key` at the end of `.dockerignore`"


def test_what_a_run_mounts_is_told_on_its_own_line(context):
    (found,) = lint(f"{PINNED}RUN --network=none \\\n  --mount=source=data/t,target=/x true\n", context=context)
    assert (found.line, found.instead) == (3, "`Data/t`")


def test_what_publishing_writes_is_told_as_that(context):
    own = msgspec.structs.replace(context, without=("a.txt", "src"))
    for written in ("a.txt", "src/main.c"):
        (found,) = lint(f"{PINNED}COPY {written} /x/\n", context=own)
        assert (found.code, found.instead) == ("SKY072", "a copy of it under another name")
        assert found.message == (
            f"`{written}` is no part of the context, as publishing writes it, and each run would make another image: "
            "the build fails"
        )


def test_the_dockerfiles_own_ignore_file_is_read_instead_and_named(context):
    (context.root / "Dockerfile.dockerignore").write_text("a.txt\n")
    (ignored,) = lint(f"{PINNED}COPY a.txt secret.key /x/\n", context=context)
    assert "`a.txt` is no part of the context, as `Dockerfile.dockerignore` excludes it" in ignored.message
    assert ignored.instead == "`!a.txt` at the end of `Dockerfile.dockerignore`"


@pytest.mark.parametrize("ignore_file", [".dockerignore", "Dockerfile.dockerignore"])
def test_what_a_build_reads_itself_cannot_be_copied_where_it_is_excluded(context, ignore_file):
    text = f"{PINNED}COPY .dockerignore /x\nCOPY Dockerfile /x\nCOPY .docker* /x/\n"
    assert told(text, context=context) == []
    (context.root / ignore_file).write_text(".docker*\nDockerfile*\n")
    assert told(text, context=context) == ["2 SKY072", "3 SKY072", "4 SKY074"]


def test_a_dockerignore_that_docker_refuses(context):
    (context.root / ".dockerignore").write_text("[\n")
    (found,) = lint(f"{PINNED}COPY a.txt /x\n", context=context)
    assert found.code == "SKY073"
    assert found.message.startswith(f"{context.root}/.dockerignore, line 1: docker refuses the pattern '['")
