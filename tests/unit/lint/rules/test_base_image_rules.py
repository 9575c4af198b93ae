"""What lint finds in FROM and other names of images."""

import pytest

from tests.support.dockerfile_lint import DIGEST, PINNED, lint, told

FROM = {
    "no tag": ("FROM debian\n", ["1 SKY001"]),
    "latest": ("FROM debian:latest\n", ["1 SKY001"]),
    "no tag behind a port": ("FROM localhost:5000/debian\n", ["1 SKY001"]),
    "tag behind a port": ("FROM localhost:5000/debian:12\n", ["1 SKY002"]),
    "tag": ("FROM debian:bookworm\n", ["1 SKY002"]),
    "digest": (f"FROM debian@{DIGEST}\n", []),
    "tag and digest": (f"FROM debian:latest@{DIGEST}\n", []),
    "platform": ("FROM --platform=linux/amd64 debian AS x\n", ["1 SKY001"]),
    "stages": (f"{PINNED[:-1]} AS one\nFROM one AS two\nFROM TWO\n", []),
    "another stage": (f"FROM debian AS one\n{PINNED}COPY --from=one /a /a\n", ["1 SKY001"]),
    "not a stage yet": (f"FROM builder\n{PINNED[:-1]} AS builder\n", ["1 SKY001"]),
    "copied from": (f"{PINNED}COPY --from=debian /a /b\nCOPY --from=a:1 /a /b\n", ["2 SKY001", "3 SKY002"]),
    "mounted from": (f"{PINNED}RUN --mount=type=bind,from=debian,target=/x true\n", ["2 SKY001"]),
    "mounted on the next line": (f"{PINNED}RUN \\\n --mount=from=debian,target=/x true\n", ["3 SKY001"]),
    "ARG with a tag": ("ARG TAG=12\nFROM debian:${TAG}\n", ["2 SKY002"]),
    "ARG that is latest": ("ARG TAG=latest\nFROM debian:$TAG\n", ["2 SKY001"]),
    "ARG with a digest": (f"ARG BASE=debian@{DIGEST}\nFROM $BASE\n", []),
    "ARG with half a digest": ("ARG D=sha256:abc\nFROM debian@$D\n", ["2 SKY005"]),
    "ARG with a bad tag": ("ARG TAG=1 OTHER\nFROM a:2:$TAG\nFROM a:2:$OTHER\n", ["2 SKY005", "3 SKY001"]),
    "ARG without a value": ("ARG TAG\nFROM debian:${TAG}\n", ["2 SKY001"]),
    "nothing but an ARG": ("ARG BASE\nFROM ${BASE}\n", ["2 SKY001"]),
    "ARG with a fallback": ("ARG TAG\nFROM debian:${TAG:-12}\n", ["2 SKY002"]),
    "ARG without its end": ("ARG IMG=debian:12-x\nFROM ${IMG%-x}\n", ["2 SKY002"]),
    "ARG with a digest and an end": (f"ARG IMG=debian@{DIGEST}-x\nFROM ${{IMG%-x}}\n", []),
    "a program's own --from": (f"{PINNED}RUN uvx --from=tool==1.0 tool && uv tool run --from=a==1 b\n", []),
    "a variable behind from": (f"{PINNED}ARG B=debian:12\nCOPY --from=$B /a /b\n", ["3 SKY004"]),
    "a variable in a mount": (f"{PINNED}RUN --mount=type=bind,from=a:${{B:-1}},target=/x true\n", ["2 SKY004"]),
    "copied from itself": (f"{PINNED[:-1]} AS me\nCOPY --from=me /a /b\nCOPY --from=0 /a /b\n", ["3 SKY005"]),
    "mounted from itself": (f"{PINNED[:-1]} AS me\nRUN --mount=from=me,target=/x true\n", ["2 SKY005"]),
    "triggered from itself": (f"{PINNED[:-1]} AS me\nONBUILD COPY --from=me /a /b\n", []),
    "continued": ("FROM \\\n  # which?\n  debian\n", ["1 SKY001"]),
    "another escape": ("# escape=`\nFROM `\n  debian\n", ["2 SKY001"]),
    "nothing": ("", ["1 SKY003"]),
    "a comment": ("# syntax=docker/dockerfile:1\n# FROM debian\n", ["1 SKY003"]),
    "no FROM": ("ARG A=1\nRUN true\n", ["1 SKY003"]),
    "no image": ("FROM\n", ["1 SKY003"]),
}


@pytest.mark.parametrize(("text", "expected"), FROM.values(), ids=FROM.keys())
def test_base_images(text, expected):
    assert told(text) == expected


def test_build_args_count_for_the_base():
    assert told("ARG TAG\nFROM debian:$TAG\n", build_args={"TAG": "12"}) == ["2 SKY002"]
    assert told("ARG TAG=12\nFROM debian:$TAG\n", build_args={"TAG": "latest"}) == ["2 SKY001"]


def test_images_of_the_list_are_pinned_by_their_own_tags():
    text = "FROM lab/base:1\nCOPY --from=lab/tool:2 /a /b\nCOPY --from=lab/tool:3 /a /b\n"
    assert told(text, listed={"lab/base:1", "lab/tool:2"}) == ["3 SKY002"]


def test_the_base_is_told_with_what_to_write():
    (untagged,) = lint("FROM debian\n")
    assert untagged.message == "`debian` has no tag: each build takes whatever is newest on that day"
    assert untagged.instead and untagged.instead.startswith("`debian:TAG@sha256:DIGEST`")
    (latest,) = lint("FROM debian:latest\n")
    assert latest.message == "`debian:latest`: each build takes whatever is newest on that day"
    (tagged,) = lint("FROM debian:12\n")
    assert "a tag moves when its image is updated" in tagged.message
    assert tagged.instead and tagged.instead.startswith("`debian:12@sha256:DIGEST`")
    (empty,) = lint("")
    assert empty.level == "error"
    assert empty.message == "no FROM says what the image starts from: docker refuses such a file"
    assert empty.instead == "`FROM IMAGE:TAG@sha256:DIGEST`"
    (unset,) = lint("ARG V\nFROM debian:$V\n")
    assert unset.message == "which image `debian:$V` is, only who builds it says: an ARG has no default"
    (given,) = lint("ARG BASE=debian\nFROM $BASE\n")
    assert given.message == untagged.message


def test_of_an_endless_name_the_beginning_is_told():
    (found,) = lint(f"FROM {'x' * 60_000}\n")
    assert found.message == f"`{'x' * 1996}..."
    assert found.instead and found.instead.endswith("xxx...") and len(found.instead) == 2000


@pytest.mark.parametrize("below", ["", f"{PINNED[:-1]} AS last\n"])
def test_a_stage_that_may_be_meant_is_told(below):
    text = f"{PINNED[:-1]} AS Builder\n{PINNED}COPY --from=biulder /a /b\nCOPY --from=last /a /b\nFROM other\n{below}"
    mistyped, later, other = (one for one in lint(text) if one.code == "SKY001")
    assert mistyped.instead and mistyped.instead.startswith("`builder`, if that stage is meant, which has to stand fu")
    assert later.instead and later.instead.startswith("`last`, if that stage" if below else "`last:TAG@sha256")
    assert other.instead and other.instead.startswith("`other:TAG@sha256")
