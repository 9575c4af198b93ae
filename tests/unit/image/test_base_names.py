"""In a Dockerfile, other names for images: each place that names one, and nothing else."""

import pytest

from skyport_wf.errors import SkyportError
from skyport_wf.image.base_names import replace_images
from skyport_wf.image.dockerfile import parse_dockerfile

NAMES = {"lab/base:1": "skyport-wf/base:abc"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("FROM lab/base:1\n", "FROM skyport-wf/base:abc\n"),
        ("FROM lab/base:1", "FROM skyport-wf/base:abc"),
        ("\ufeffFROM lab/base:1\r\nRUN x\r\n", "\ufeffFROM skyport-wf/base:abc\r\nRUN x\r\n"),
        (" from  --platform=linux/amd64 lab/base:1 as one", " from  --platform=linux/amd64 skyport-wf/base:abc as one"),
        ("# FROM lab/base:1\nFROM lab/base:12\n", "# FROM lab/base:1\nFROM lab/base:12\n"),
        ("ARG B=lab/base:1\nFROM $B\n", "ARG B=lab/base:1\nFROM skyport-wf/base:abc\n"),
        ("ARG B=lab/base:1\nFROM ${B}\n", "ARG B=lab/base:1\nFROM skyport-wf/base:abc\n"),
        ("ARG T=1\nFROM lab/base:${T}\n", "ARG T=1\nFROM skyport-wf/base:abc\n"),
        ("FROM \\\n  # why\n\n  lab/base:1 \\\n AS x\n", "FROM \\\n  # why\n\n  skyport-wf/base:abc \\\n AS x\n"),
        (
            "FROM debian\nCOPY --from=lab/base:1 lab/base:1 /x\n",
            "FROM debian\nCOPY --from=skyport-wf/base:abc lab/base:1 /x\n",
        ),
        (
            "FROM debian\nCOPY --from=\"lab/base:1\" a /x\n",
            "FROM debian\nCOPY --from=\"skyport-wf/base:abc\" a /x\n",
        ),
        ("FROM 'lab/base':1\n", "FROM skyport-wf/base:abc\n"),
        (
            "FROM debian\nRUN --mount=type=bind,from=lab/base:1,target=/b \\\n"
            "  --mount=from=lab/base:1,target=/c lab/base:1\n",
            "FROM debian\nRUN --mount=type=bind,from=skyport-wf/base:abc,target=/b \\\n"
            "  --mount=from=skyport-wf/base:abc,target=/c lab/base:1\n",
        ),
        (
            "FROM debian\nRUN --mount=From=lab/base:1,target=/c x\nRUN --mount=type=bind,FROM=\"lab/base:1\" x\n",
            "FROM debian\nRUN --mount=From=skyport-wf/base:abc,target=/c x\n"
            "RUN --mount=type=bind,FROM=\"skyport-wf/base:abc\" x\n",
        ),
        (
            "FROM lab/base:1 AS lab\nFROM lab\nCOPY --from=0 /a /b\nRUN <<END\nFROM lab/base:1\nEND\n",
            "FROM skyport-wf/base:abc AS lab\nFROM lab\nCOPY --from=0 /a /b\nRUN <<END\nFROM lab/base:1\nEND\n",
        ),
        (
            "FROM debian\nRUN cat <<\\END\nFROM lab/base:1\nEND\nRUN cat <<!\nFROM lab/base:1\n!\n",
            "FROM debian\nRUN cat <<\\END\nFROM lab/base:1\nEND\nRUN cat <<!\nFROM lab/base:1\n!\n",
        ),
        (
            "# escape=`\nFROM `\n lab/base:1\nLABEL a=lab/base:1\n",
            "# escape=`\nFROM `\n skyport-wf/base:abc\nLABEL a=lab/base:1\n",
        ),
        (
            "FROM index.docker.io/lab/base:1\nCOPY --from=docker.io/lab/base:1 /a /b\n",
            "FROM skyport-wf/base:abc\nCOPY --from=skyport-wf/base:abc /a /b\n",
        ),
        ('FROM "lab/base:1"\n', "FROM skyport-wf/base:abc\n"),
        ("FROM debian:bookworm\nRUN echo lab/base:1\n", "FROM debian:bookworm\nRUN echo lab/base:1\n"),
    ],
)  # fmt: skip
def test_each_place_that_names_an_image(before: str, after: str) -> None:
    content = replace_images(before.encode(), NAMES, build_args={})
    assert content.decode() == after
    assert "lab/base:1" not in parse_dockerfile(content).images


def test_what_becomes_part_of_the_image_stays() -> None:
    triggers = b"ONBUILD COPY --from=lab/base:1 /a /b\nONBUILD RUN --mount=from=lab/base:1,target=/c x\n"
    content = replace_images(b"FROM lab/base:1\n" + triggers, NAMES, build_args={})
    assert content == b"FROM skyport-wf/base:abc\n" + triggers


def test_build_arguments_win_over_defaults() -> None:
    content = b"ARG B=debian\nFROM $B\n"
    assert replace_images(content, NAMES, build_args={"B": "lab/base:1"}) == b"ARG B=debian\nFROM skyport-wf/base:abc\n"
    assert replace_images(content, NAMES, build_args={}) == content


def test_the_platform_decides_which_image_is_named() -> None:
    content = b"FROM lab/base-$TARGETARCH:1\n"
    names = {"lab/base-arm64:1": "skyport-wf/base:abc"}
    assert replace_images(content, names, build_args={}, platform="linux/arm64") == b"FROM skyport-wf/base:abc\n"
    assert replace_images(content, names, build_args={}, platform="linux/s390x") == content


def test_bytes_that_are_no_utf8_stay_as_they_are() -> None:
    content = b"FROM lab/base:1\nLABEL a=\xff\xfe\n# \xc3\n"
    assert replace_images(content, NAMES, build_args={}) == content.replace(b"lab/base:1", b"skyport-wf/base:abc")


def test_a_place_that_is_not_found_is_an_error_never_passed_over() -> None:
    with pytest.raises(SkyportError, match=r"line 2 of the Dockerfile names lab/base:1 in a way"):
        replace_images(b"FROM debian\nCOPY --from=lab/base:1 \xff /x\n", NAMES, build_args={})
