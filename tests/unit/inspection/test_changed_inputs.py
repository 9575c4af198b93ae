"""What an image would be made from now that its published twin was not made from."""

from typing import Any

import pytest

from skyport_wf.image.contents import ArchiveDigests
from skyport_wf.inspection.changed_inputs import changed_inputs
from skyport_wf.publication.attributes import NodeAttributes, PublishedFacts
from skyport_wf.records.source import BaseImage, EngineVersion, GitOrigin, Source

_DIGESTS = ArchiveDigests(1, "", "", 1, "", canonical=True)


def published(**fields: Any) -> NodeAttributes:
    source = {"kind": "dockerfile", "digest": "s1", "dockerfile_digest": "d1", "context_digest": "c1", **fields}
    known: dict[str, Any] = {
        "source": Source(**source), "base": BaseImage("debian:bookworm", "sha256:" + "1" * 64), "archive": _DIGESTS,
        "layers": (),
        "platform": "linux/amd64", "labels": (), "engine_image_id": None, "description": "", "registered": "",
    }  # fmt: skip
    return NodeAttributes(
        "dockerimage", "lab/x:1", "lab/x", "1", "sha256:0", docker_version=EngineVersion(version="20.10"),
        skyport_wf=PublishedFacts(**known),
    )  # fmt: skip


def changed(attributes: NodeAttributes | None = None, **now: Any) -> list[str]:
    source = Source(**{
        "kind": "dockerfile", "digest": "s1", "dockerfile_digest": "d1", "context_digest": "c1",
        **{name: value for name, value in now.items() if name not in ("base", "engine")},
    })  # fmt: skip
    base = now.get("base", BaseImage("debian:bookworm", "sha256:" + "1" * 64))
    engine = EngineVersion(version=now.get("engine", "20.10"))
    return list(changed_inputs(attributes or published(), source, base=base, engine=engine))


def test_nothing_has_changed() -> None:
    assert changed() == []


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ({"digest": "s2", "dockerfile_digest": "d2"}, ["another Dockerfile"]),
        ({"digest": "s2", "context_digest": "c2"}, ["another build context"]),
        ({"digest": "s2", "dockerfile_digest": "d2", "context_digest": "c2"},
         ["another Dockerfile", "another build context"]),
        ({"digest": "s2"}, ["other fields of the image list, another SOURCE_DATE_EPOCH, or another source of an image "
                            "of the list that it is made from"]),
        ({"digest": "s2", "kind": "snapshot"},
         ["another source: it was published from `dockerfile`, the image list has `snapshot`"]),
        ({"base": BaseImage("debian:bookworm", "sha256:" + "2" * 64)},
         ["another base image: debian:bookworm (111111111111) then, debian:bookworm (222222222222) now"]),
        ({"base": BaseImage("debian:bookworm", None)}, []),
        ({"base": None}, []),
        ({"engine": "28.0"}, ["another engine: version 20.10 then, 28.0 now"]),
        ({"engine": ""}, ["another engine: version 20.10 then, unknown now"]),
    ],
)  # fmt: skip
def test_what_has_changed(now: dict[str, Any], expected: list[str]) -> None:
    assert changed(**now) == expected


def test_another_script() -> None:
    attributes = published(kind="snapshot", script="old", dockerfile_digest=None, context_digest=None)
    now = {"kind": "snapshot", "digest": "s2", "dockerfile_digest": None, "context_digest": None}
    assert changed(attributes, **now, script="new") == ["another script"]


def test_another_commit() -> None:
    then, now = (GitOrigin("https://example.org/x.git", "main", letter * 40, "") for letter in "ab")
    assert changed(published(git=then), digest="s2", git=now) == [
        f"another commit of https://example.org/x.git: {'a' * 40} then, {'b' * 40} now"
    ]


def test_a_node_that_another_tool_made() -> None:
    attributes = NodeAttributes("dockerimage", "lab/x:1", "lab/x", "1", "sha256:0")
    expected = ["what the published image was made from is unknown: another tool published it"]
    assert changed(attributes) == expected
    source = Source(kind="dockerfile", digest="s1")
    assert list(changed_inputs(None, source, base=None, engine=EngineVersion())) == expected
