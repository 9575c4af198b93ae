"""What a build printed becomes a message that is short, acts on no terminal, and says what to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.engine.build_output import LastLines, build_failure
from skyport_wf.engine.builders import build_image
from skyport_wf.engine.connection import connect
from skyport_wf.errors import BuildError, EngineError
from skyport_wf.image.context import BuildContext
from skyport_wf.image_list.spec import ImageSpec
from tests.support.failing_server import Answer, FailingServer


def last_lines(*pieces: str) -> LastLines:
    last = LastLines()
    for piece in pieces:
        last.add(piece)
    return last


def test_lines_that_come_in_pieces_are_put_together() -> None:
    assert str(last_lines("on", "e\ntw", "o\n\n  \nthr", "ee")) == ". The last it printed:\n  | one\n  | two\n  | three"
    assert str(last_lines("", "\n")) == ""


def test_only_the_last_lines_are_kept() -> None:
    shown = str(last_lines(*(f"line {number}\n" for number in range(100)), "open"))
    assert shown.count("\n") == 20
    assert shown.startswith(". The last it printed:\n  | line 81\n")
    assert shown.endswith("\n  | line 99\n  | open")


@pytest.mark.slow
def test_a_line_without_end_is_cut_and_not_kept_in_memory() -> None:
    last = LastLines()
    for _ in range(1000):
        last.add("x" * 32768)
    assert str(last) == ". The last it printed:\n  | " + "x" * 297 + "..."
    assert len(last._open) <= 301


def test_nothing_acts_on_a_terminal() -> None:
    shown = str(last_lines("\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jplain\x08\x00\n", "50 %\r100 %\n"))
    assert shown == ". The last it printed:\n  | red plain\n  | 50 %\n  | 100 %"
    failure = str(build_failure("lab/x:1", instruction="RUN \x1b]0;x\x07", reason="no\x1b[2J", last=None))
    assert failure == "building lab/x:1 failed at\n  RUN ]0;x\nno[2J"


@pytest.mark.parametrize(
    ("instruction", "reason", "image"),
    [
        ("load metadata for docker.io/lab/base:1", "docker.io/lab/base:1: not found", "lab/base:1"),
        ("load metadata for docker.io/library/base:1", "failed to solve: anything", "base:1"),
        ("FROM docker.io/lab/base:2", "failed to load cache key: failed to do request: Head ...", "lab/base:2"),
        ("FROM --platform=$BUILDPLATFORM lab/base:1 AS one", "pull access denied for lab/base", "lab/base:1"),
        ("COPY --from=lab/base:1 /x /x", "invalid from flag value lab/base:1: Get ...: dial tcp: lookup", "lab/base:1"),
        ("COPY --chown=1 --from=lab/base:1 /x /", "no stage or image found with that name", "lab/base:1"),
        (
            "RUN --mount=from=one,target=/y --mount=type=bind,from=lab/base:1,target=/x true",
            "type=bind,from=lab/base:1,target=/x from=lab/base:1: no stage or image found with that name",
            "lab/base:1",
        ),
    ],
)
def test_an_unknown_base_image_is_named_with_the_way_to_get_it(instruction: str, reason: str, image: str) -> None:
    message = str(build_failure("lab/tool:1", instruction=instruction, reason=reason, last=None))
    assert message.startswith(
        f"building lab/tool:1 failed: the engine does not have the image {image}, and no registry"
    )
    assert f"`docker pull {image}`" in message
    assert f"`skyport-wf pull {image}`" in message


def test_an_unknown_base_image_for_another_platform_is_named_with_that() -> None:
    message = str(
        build_failure(
            "lab/tool:1", instruction="load metadata for docker.io/lab/base:1", reason="no", last=None,
            platform="linux/arm64",
        )
    )  # fmt: skip
    assert "does not have the image lab/base:1 for linux/arm64, and no registry gave it" in message
    assert "`docker pull --platform linux/arm64 lab/base:1`" in message


def test_the_platform_of_a_from_counts_before_that_of_the_list() -> None:
    instruction = "FROM --platform=linux/arm64 lab/base:1 AS one"
    for platform in (None, "linux/amd64"):
        message = str(build_failure("a:1", instruction=instruction, reason="dial tcp", last=None, platform=platform))
        assert "`docker pull --platform linux/arm64 lab/base:1`" in message
    message = str(build_failure("a:1", instruction="FROM --platform=$X lab/base:1", reason="dial tcp", last=None))
    assert "`docker pull lab/base:1`" in message


@pytest.mark.parametrize("scheme", ["", "docker-image://"])
def test_an_unknown_frontend_is_named_with_the_way_to_get_it(scheme: str) -> None:
    instruction = f"resolve image config for {scheme}docker.io/docker/dockerfile:1"
    message = str(build_failure("lab/tool:1", instruction=instruction, reason="no such host", last=None))
    assert message == (
        "building lab/tool:1 failed: the engine does not have the image docker/dockerfile:1, which the line `# syntax` "
        "of the Dockerfile names, and no registry gave it (no such host). Get it: `docker pull docker/dockerfile:1`; "
        "or leave the line out, if the engine's BuildKit knows what stands below it."
    )


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("COPY --from=one /x /x", 'failed to calculate checksum of ref a::b: "/x": not found'),
        ("FROM lab/base:1", "no space left on device"),
        ("RUN apt-get update", "dial tcp: lookup mirror.example.org: no such host"),
    ],
)
def test_other_failures_are_not_taken_for_an_unknown_image(instruction: str, reason: str) -> None:
    message = str(build_failure("lab/tool:1", instruction=instruction, reason=reason, last=None))
    assert message == f"building lab/tool:1 failed at\n  {instruction}\n{reason}"


def test_buildkits_own_prefixes_are_left_out() -> None:
    reason = "ERROR: failed to build: failed to solve: target stage x could not be found"
    message = str(build_failure("lab/tool:1", instruction="", reason=reason, last=None))
    assert message == "building lab/tool:1 failed: target stage x could not be found"


def test_a_long_instruction_and_a_long_reason_are_cut() -> None:
    huge = "RUN " + "y\n" * 100_000 + "z" * 100_000
    assert len(str(build_failure("lab/tool:1", instruction=huge, reason=huge, last=last_lines(huge)))) < 12_000


@pytest.mark.parametrize(
    ("instruction", "is_heredoc"),
    [("RUN cat <<\\EOF", True), ("COPY <<! /x", True), ("RUN cat <<<EOF", False), ("RUN echo '<<EOF'", False)],
)
@pytest.mark.parametrize(("status", "field"), [(200, "error"), (400, "message")])
def test_a_builder_that_knows_no_heredocs_is_told_of(
    failing_server: FailingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instruction: str, is_heredoc: bool,
    status: int, field: str,
) -> None:  # fmt: skip
    (tmp_path / "Dockerfile").write_text(f"FROM a:1\n{instruction}\nHELLO\n")
    error = b'{"%b": "dockerfile parse error line 3: unknown instruction: HELLO"}\n' % field.encode()
    ping = Answer(200, b"OK", {"Api-Version": "1.41"})
    failing_server.answers = [ping, ping, Answer(status, error)]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    image = ImageSpec("lab/a:1", dockerfile="Dockerfile", builder="classic", network="host")
    with pytest.raises((BuildError, EngineError), match="unknown instruction: HELLO") as caught:
        build_image(connect(), image, BuildContext(tmp_path, tmp_path / "Dockerfile"), print)
    assert ("has a heredoc" in str(caught.value)) == is_heredoc


@pytest.mark.parametrize(
    ("builder", "network", "advice"),
    [
        ("classic", "host", "Leave `builder: classic` out of the image list."),
        ("auto", "made", "Set `network` to `host` or `none`, or leave it out."),
    ],
)
def test_what_needs_buildkit_is_told_with_how_to_have_it(
    failing_server: FailingServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    builder: Any,
    network: str,
    advice: str,
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM a:1\nRUN --mount=type=cache,target=/x true\n")
    error = (
        b'{"error": "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn '
        b'how to build images with BuildKit enabled"}\n'
    )
    ping = Answer(200, b"OK", {"Api-Version": "1.41"})
    failing_server.answers = [ping, ping, Answer(200, error)]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    image = ImageSpec("lab/a:1", dockerfile="Dockerfile", builder=builder, network=network)
    with pytest.raises(BuildError, match="the --mount option requires BuildKit") as caught:
        build_image(connect(), image, BuildContext(tmp_path, tmp_path / "Dockerfile"), print)
    assert str(caught.value).endswith(f"the --mount option requires BuildKit. {advice}")


def test_a_step_that_podman_cannot_read_is_told_without_what_its_parser_knows(
    failing_server: FailingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "Dockerfile").write_text('FROM a:1\nENV A="b\n')
    said = (
        "resolving step {Value:env Next:0xc00066b560 Children:[] Heredocs:[] Attributes:map[] "
        'Original:ENV A="b Flags:[] StartLine:2 EndLine:2}: unexpected end of statement while looking for a quote'
    )
    ping = Answer(200, b"OK", {"Api-Version": "1.41"})
    failing_server.answers = [ping, ping, Answer(200, json.dumps({"error": said}).encode() + b"\n")]
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{failing_server.port}")
    image = ImageSpec("lab/a:1", dockerfile="Dockerfile", builder="classic", network="host")
    with pytest.raises(BuildError) as caught:
        build_image(connect(), image, BuildContext(tmp_path, tmp_path / "Dockerfile"), print)
    assert str(caught.value) == (
        'building lab/a:1 failed at\n  ENV A="b\nunexpected end of statement while looking for a quote'
    )
