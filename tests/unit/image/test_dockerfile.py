import hashlib
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.image.dockerfile import parse_dockerfile
from skyport_wf.image.variables import expand, read_word, unquote


def images_of(text: str, **given_arguments) -> tuple[str, ...]:
    return parse_dockerfile(text.encode(), **given_arguments).images


def base_of(text: str, **given_arguments) -> str:
    return parse_dockerfile(text.encode(), **given_arguments).base


@pytest.mark.parametrize("target", [None, "Build", "build", "BUILD", "0", "1"])
def test_a_target_that_is_there(target):
    assert not parse_dockerfile(b"FROM a:1 AS Build\nFROM b:1\n", target=target).lacks_target


@pytest.mark.parametrize("target", ["", "a", "a:1", "2", "01", "-1"])
@pytest.mark.parametrize(
    "head", ["", "# syntax=docker/dockerfile:1\n", "#Syntax = docker.io/docker/dockerfile-upstream\n"]
)
def test_a_target_that_is_not_there(target, head):
    assert parse_dockerfile(f"{head}FROM a:1 AS build\nFROM b:1\n".encode(), target=target).lacks_target


@pytest.mark.parametrize("text", ["", "RUN a\n", "# syntax=lab/other:1\nFROM a:1\n", "# x\n# syntax = x\nFROM a:1\n"])
def test_what_is_no_dockerfile_as_docker_has_them_may_have_any_target(text):
    assert not parse_dockerfile(text.encode(), target="build").lacks_target


def test_content_and_digest_are_of_the_bytes():
    content = b"FROM a:1\r\n# \xff\n"
    dockerfile = parse_dockerfile(content)
    assert dockerfile.content == content
    assert dockerfile.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert dockerfile.images == ("a:1",)


@pytest.mark.parametrize(
    ("text", "base", "images"),
    [
        ("FROM debian:bookworm\n", "debian:bookworm", ("debian:bookworm",)),
        ("from debian:bookworm as Build\n", "debian:bookworm", ("debian:bookworm",)),
        ("FROM --platform=linux/amd64 a:1 AS x\n", "a:1", ("a:1",)),
        ("# FROM b:1\n\nFROM a:1\n", "a:1", ("a:1",)),
        ("FROM \\\n  a:1 \\\n  AS x\nFROM x\n", "a:1", ("a:1",)),
        ("# escape=`\nFROM a:1 `\n AS x\nFROM x\n", "a:1", ("a:1",)),
        ("\ufeffFROM a:1\n", "a:1", ("a:1",)),
        ("FROM a:1\r\nRUN x\r\n", "a:1", ("a:1",)),
        ("FROM a:1\nFROM 0\n", "0", ("a:1", "0")),
        ("FROM a:1\nFROM b:1\nCOPY --from=0 x y\n", "b:1", ("a:1", "b:1")),
        ("FROM scratch\nCOPY a b\n", "scratch", ()),
        ("", "scratch", ()),
        ("FROM\n", "scratch", ()),
        ("FROM a:1\nFROM b:1\n", "b:1", ("a:1", "b:1")),
        ("FROM a:1\nFROM a:1\n", "a:1", ("a:1",)),
        ("FROM alpine AS alpine\nFROM alpine\n", "alpine", ("alpine",)),
        ("FROM a:1 AS Build\nFROM build AS more\nFROM BUILD\n", "a:1", ("a:1",)),
        ('FROM "a:1"\n', "a:1", ("a:1",)),
        ("FROM 'a:1' AS x\nFROM x\n", "a:1", ("a:1",)),
        ('ARG V=1\nFROM a:"${V}"\n', "a:1", ("a:1",)),
        ("FROM a:\\1\n", "a:1", ("a:1",)),
        ("FROM  --platform=linux/amd64   a:1   as   x\nFROM x\n", "a:1", ("a:1",)),
        ('FROM --platform="linux/amd64" a:1\n', "a:1", ("a:1",)),
    ],
)
def test_from(text, base, images):
    dockerfile = parse_dockerfile(text.encode())
    assert (dockerfile.base, dockerfile.images) == (base, images)


@pytest.mark.parametrize(
    ("instruction", "images"),
    [
        ("COPY --from=b:1 /x /y", ("b:1",)),
        ("COPY --chown=0:0 --from=b:1 /x /y", ("b:1",)),
        ("COPY --from=first /x /y", ()),
        ("COPY --from=FIRST /x /y", ()),
        ("COPY --from=0 /x /y", ()),
        ("ADD --from=b:1 /x /y", ("b:1",)),
        ("RUN --mount=type=bind,from=b:1,target=/x true", ("b:1",)),
        ("RUN --mount=from=b:1,target=/x true", ("b:1",)),
        ("RUN --mount=type=bind,target=/x,from=first true", ()),
        ('COPY --from="b:1" /x /y', ("b:1",)),
        ('RUN --mount=type=bind,from="b:1",target=/x true', ("b:1",)),
        ('RUN --network=host --mount="from=b:1,target=/x" true', ("b:1",)),
        ("RUN --mount=type=bind,From=b:1,target=/x true", ("b:1",)),
        ("RUN --mount=FROM=b:1,target=/x true", ("b:1",)),
        ("ONBUILD COPY --from=b:1 /x /y", ("b:1",)),
        ("onbuild add --link --from=b:1 /x /y", ("b:1",)),
        ("ONBUILD RUN --mount=from=b:1,target=/x true", ("b:1",)),
        ("ONBUILD COPY --from=first /x /y", ()),
        ("ONBUILD COPY x --from=b:1", ()),
        ("ONBUILD --from=b:1", ()),
        ("ONBUILD", ()),
        ("COPY --From=b:1 /x /y", ()),
        ("RUN --mount=from,target=/x true", ()),
        ("RUN uvx --from=git+https://x.test/y z", ()),
        ("RUN uv tool run --from=b:1 z", ()),
        ("RUN echo --mount=from=b:1", ()),
        ("RUN -- --mount=from=b:1", ()),
        ("COPY /x --from=b:1", ()),
        ("COPY from=b:1 /x", ()),
        ("LABEL x=--from=b:1", ()),
    ],
)
def test_other_images_that_instructions_take_files_from(instruction, images):
    assert images_of(f"FROM a:1 AS first\nFROM a:1\n{instruction}\n") == ("a:1", *images)


def test_images_that_builds_on_the_image_need():
    text = "FROM a:1 AS one\nONBUILD COPY --from=b:1 /x /y\nFROM one AS two\nONBUILD COPY --from=c:1 /x /y\n"
    needed = {target: parse_dockerfile(text.encode(), target=target).triggered for target in ("one", "two", None)}
    assert needed == {"one": ("b:1",), "two": ("c:1",), None: ("c:1",)}


@pytest.mark.parametrize(
    ("target", "base"),
    [(None, "c:1"), ("one", "a:1"), ("TWO", "a:1"), ("three", "c:1"), ("0", "a:1"), ("2", "c:1"), ("unknown", "c:1")],
)
def test_the_base_is_that_of_the_stage_that_is_built(target, base):
    assert base_of("FROM a:1 AS one\nFROM one AS two\nFROM c:1 AS three\n", target=target) == base


@pytest.mark.parametrize(
    ("target", "images"),
    [
        (None, ("a:1", "b:1", "c:1", "d:1")),
        ("unknown", ("a:1", "b:1", "c:1", "d:1")),
        ("ONE", ("a:1",)),
        ("two", ("a:1", "b:1", "c:1")),
        ("1", ("a:1", "b:1", "c:1")),
    ],
)
def test_stages_behind_the_one_that_is_built_need_nothing(target, images):
    """Of those before it, the classic builder makes all."""
    text = "FROM a:1 AS one\nFROM b:1 AS two\nCOPY --from=c:1 /x /y\nFROM two\nCOPY --from=d:1 /x /y\n"
    assert images_of(text, target=target) == images


@pytest.mark.parametrize(
    ("text", "base"),
    [
        ("ARG V=1\nFROM a:$V\n", "a:1"),
        ("ARG V=1\nFROM a:${V}.2\n", "a:1.2"),
        ("ARG V='1'\nARG W=\"${V}x\"\nFROM a:$W\n", "a:1x"),
        ("ARG V=1 W=2\nFROM a:$V-$W\n", "a:1-2"),
        ("ARG V=1 W=${V}3\nFROM a:$W\n", "a:13"),
        ("ARG V\nFROM a:${V:-7}\n", "a:7"),
        ("ARG V\nFROM a:${V-7}\n", "a:7"),
        ("ARG V=1\nFROM a:${V:+set}\n", "a:set"),
        ("ARG V\nFROM a:x${V:+set}\n", "a:x"),
        ("ARG V\nFROM a:x$V\n", "a:x"),
        ("ARG V='unbalanced\nFROM a:1\n", "a:1"),
        ("FROM b:1\nARG V=2\nFROM a:1$V\n", "a:1"),
    ],
)
def test_arguments_have_their_defaults(text, base):
    assert base_of(text) == base


@pytest.mark.parametrize(
    ("platform", "text", "base"),
    [
        ("linux/arm64", "FROM a-${TARGETARCH}:1\n", "a-arm64:1"),
        ("linux/arm/v7", "FROM a:$TARGETOS-$TARGETARCH$TARGETVARIANT\n", "a:linux-armv7"),
        ("linux/arm64", "ARG TARGETARCH\nFROM a-${TARGETARCH}\n", "a-arm64"),
        ("linux/arm64", "ARG TARGETARCH=x\nFROM a-${TARGETARCH}\n", "a-x"),
        ("linux/arm64", "ARG V=${TARGETARCH}\nFROM a:$V\n", "a:arm64"),
        ("linux/arm64", "FROM a:1\nCOPY --from=b-$TARGETARCH /x /y\n", "a:1"),
        (None, "FROM a:${TARGETPLATFORM#$BUILDPLATFORM}1\n", "a:1"),
    ],
)
def test_arguments_of_the_platform(platform, text, base):
    assert base_of(text, platform=platform) == base


def test_the_platform_is_that_of_this_machine():
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine)
    if machine is None:
        pytest.skip("on x86-64 and ARM only")
    assert base_of("FROM a-$TARGETARCH-$BUILDOS\n") == f"a-{machine}-linux"
    assert base_of("FROM a-$TARGETARCH\n", build_args={"TARGETARCH": "x"}) == "a-x"


VALUES = {"A": "one-two-three", "B": "b", "EMPTY": ""}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$A/$B.$C", "one-two-three/b."),
        ("${B}x$Bx", "bx"),
        ("${A%-*}", "one-two"),
        ("${A%%-*}", "one"),
        ("${A#*-}", "two-three"),
        ("${A##*-}", "three"),
        ("${A%four}", "one-two-three"),
        ("${A/t?/X}", "one-Xo-three"),
        ("${A//t?/X}", "one-Xo-Xree"),
        ("${A/-}", "onetwo-three"),
        ("${C:-${D:-${B}}}", "b"),
        ("${EMPTY:-x}${EMPTY:+y}${B:+z}", "xz"),
        ("${C:?why}", ""),
        ('"a $B \\" c"', 'a b " c'),
        ("'$B'\"'$B'\"", "$B'b'"),
        ("a\\$B", "a$B"),
        ("$", "$"),
        ("${", "${"),
        ("${A", "one-two-three"),
        ("'a", "a"),
        ("a\\", "a"),
    ],
)
def test_words(word, expected):
    assert read_word(word, VALUES) == expected


def test_variables_without_a_value_may_stay():
    assert expand("$A:$C:${D%-x}:${E:-$F}:'$B'", VALUES, unknown=True) == "one-two-three:$C:${D%-x}:$F:'b'"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("'a b'\\ \"c\"", "a b c"),
        ("$A${B}", "$A${B}"),
        ('"x${A:-"y z"}"', 'x${A:-"y z"}'),
        ("${A:+${B-c}}${C%'-'*}", "${A:+${B-c}}${C%'-'*}"),
        ("${A", "${A"),
    ],
)
def test_quotes_are_taken_off_but_for_those_in_variables(word, expected):
    assert unquote(word) == expected


def test_quotes_in_the_word_of_a_variable_are_no_part_of_its_value():
    assert expand("'${C:-\"x y\"}'${A%'-three'}", VALUES, unknown=True) == "'x y'one-two"


@pytest.mark.parametrize("word", ["${A:-" * 5000, "${A%" + "*a" * 500 + "}", "'" * 200_000, "$A" * 100_000])
def test_words_are_read_in_time(word):
    begun = time.process_time()
    read_word(word, {"A": "a" * 5000})
    assert time.process_time() - begun < 5


@pytest.mark.slow
@pytest.mark.parametrize("between", [",", " --mount=", '\\"x --mount='])
def test_many_mounts_are_read_in_time(between):
    begun = time.process_time()
    images_of("FROM a\nRUN --mount=" + between.join(f"from=i{number}" for number in range(50_000)) + "\n")
    assert time.process_time() - begun < 10


@pytest.mark.slow
@given(st.text(st.sampled_from("$A{}:-+?%#/*'\"\\ a"), max_size=30))
def test_any_word_is_read(word):
    read_word(word, VALUES)
    expand(word, VALUES, unknown=True)


@pytest.mark.parametrize(
    ("argument", "given", "tags"),
    [
        ("ARG V", {}, ["no", "no", "x", "x"]),
        ("", {}, ["no", "no", "x", "x"]),
        ("ARG V=", {}, ["", "no", "xset", "x"]),
        ("ARG V=\nARG V", {}, ["", "no", "xset", "x"]),
        ("ARG V", {"V": ""}, ["", "no", "xset", "x"]),
        ("ARG V=1", {"V": ""}, ["", "no", "xset", "x"]),
        ("ARG V=1", {}, ["1", "1", "xset", "xset"]),
    ],
)
def test_an_empty_argument_is_like_none_only_behind_a_colon(argument, given, tags):
    words = ("${V-no}", "${V:-no}", "x${V+set}", "x${V:+set}")
    assert [base_of(f"{argument}\nFROM a:{word}\n", build_args=given) for word in words] == [f"a:{tag}" for tag in tags]


def test_build_args_win_over_defaults_but_only_where_they_are_declared():
    text = "ARG V=1\nFROM a:$V$W\n"
    assert base_of(text, build_args={"V": "2", "W": "3"}) == "a:2"


@pytest.mark.parametrize(
    "body",
    [
        "RUN <<EOF\nFROM c:1\nEOF",
        "RUN <<-'EOF' bash\n\tFROM c:1\n\tEOF",
        'COPY <<"one" <<two /x/\nFROM c:1\none\nFROM d:1\ntwo',
        "RUN cat <<\\EOF\nFROM c:1\nEOF",
        "RUN cat <<-\\EOF\n\tFROM c:1\n\tEOF",
        "RUN cat <<!\nFROM c:1\n!",
        "COPY <<.EOF /x\nFROM c:1\n.EOF",
    ],
)
def test_what_stands_in_a_heredoc_is_no_instruction(body):
    assert images_of(f"FROM a:1\n{body}\nFROM b:1\n") == ("a:1", "b:1")


@pytest.mark.parametrize("command", ["grep x <<<EOF", "echo $((1<<3))", "echo a<<b", "cat < EOF", "echo '<< EOF'"])
def test_what_only_looks_like_a_heredoc_hides_nothing(command):
    assert images_of(f"FROM a:1\nRUN {command}\nFROM b:1\n") == ("a:1", "b:1")


@given(st.binary(max_size=80))
def test_any_bytes_are_read(content):
    assert parse_dockerfile(content).content == content


@given(
    st.lists(
        st.sampled_from(
            ["FROM", "ARG", "COPY", "AS", " ", "\n", "\\\n", "$", "{", "}", "=", "<<", "a:1", "--from=", "'", "V", ":-"]
        ),
        max_size=30,
    )
)
def test_any_row_of_dockerfile_words_is_read(words):
    parse_dockerfile("".join(words).encode())
