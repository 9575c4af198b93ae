import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.errors import BuildError, UsageError
from skyport_wf.image_list.spec import ImageList, ImageSpec, ShockSettings, Snapshot
from skyport_wf.inspection.plan import plan_images
from skyport_wf.sources.resolution import resolve_images
from skyport_wf.sources.source import HeldBase


def write(folder: Path, **dockerfiles: str) -> ImageList:
    """Write a Dockerfile for each name, and return a list of images `lab/NAME:1` in this order."""
    for name, text in dockerfiles.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "Dockerfile").write_text(text)
    return ImageList(tuple(ImageSpec(f"lab/{name}:1", dockerfile=f"{name}/Dockerfile") for name in dockerfiles))


def order(images: ImageList, folder: Path) -> list[str]:
    return list(resolve_images(images, folder))


def needs(images: ImageList, folder: Path, name: str) -> tuple[str, ...]:
    return resolve_images(images, folder)[f"lab/{name}:1"].needs


def source_digests(images: ImageList, folder: Path) -> dict[str, str]:
    resolved = resolve_images(images, folder)
    return {name: image.facts.digest if image.facts else "" for name, image in resolved.items()}


def test_images_come_after_those_they_are_built_on(tmp_path):
    images = write(
        tmp_path,
        top="FROM lab/middle:1\nCOPY --from=lab/other:1 /a /b\n",
        middle="FROM lab/base:1\n",
        other="FROM debian:bookworm\n",
        base="FROM debian:bookworm\n",
    )
    found = order(images, tmp_path)
    assert sorted(found) == ["lab/base:1", "lab/middle:1", "lab/other:1", "lab/top:1"]
    assert found.index("lab/base:1") < found.index("lab/middle:1") < found.index("lab/top:1")
    assert found.index("lab/other:1") < found.index("lab/top:1")
    assert needs(images, tmp_path, "top") == ("lab/middle:1", "lab/other:1")
    assert needs(images, tmp_path, "base") == ()


def test_images_that_do_not_need_each_other_keep_their_order(tmp_path):
    images = write(tmp_path, c="FROM x:1\n", a="FROM x:1\n", b="FROM x:1\n")
    assert order(images, tmp_path) == ["lab/c:1", "lab/a:1", "lab/b:1"]


def test_only_the_very_name_counts(tmp_path):
    images = write(tmp_path, a="FROM x:1\n", b="FROM lab/a:2\nFROM lab/a\nFROM docker.io/library/lab/a:1\n")
    assert needs(images, tmp_path, "b") == ()


DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "spelling", ["docker.io/lab/a:1", "index.docker.io/lab/a:1", f"lab/a:1@{DIGEST}", f"docker.io/lab/a:1@{DIGEST}"]
)
@pytest.mark.parametrize("place", ["FROM {}", "FROM x:1\nCOPY --from={} /a /b", "FROM x:1\nRUN --mount=from={} true"])
def test_every_spelling_of_a_name_is_that_name(tmp_path, spelling, place):
    images = write(tmp_path, b=place.format(spelling) + "\n", a="FROM x:1\n")
    assert needs(images, tmp_path, "b") == ("lab/a:1",)
    assert order(images, tmp_path) == ["lab/a:1", "lab/b:1"]
    before = source_digests(images, tmp_path)
    (tmp_path / "a/Dockerfile").write_text("FROM x:2\n")
    after = source_digests(images, tmp_path)
    assert changed(before, after) == {"lab/a:1", "lab/b:1"}


def test_the_base_of_a_snapshot_has_every_spelling_too(tmp_path):
    listed = write(tmp_path, a="FROM x:1\n")
    (tmp_path / "script").write_text("true\n")
    snapshot = ImageSpec("lab/b:1", snapshot=Snapshot(base=f"docker.io/lab/a:1@{DIGEST}", script="script"))
    assert needs(ImageList((snapshot, *listed.images)), tmp_path, "b") == ("lab/a:1",)


def test_a_name_in_the_list_may_have_the_registry_too(tmp_path):
    images = write(tmp_path, a="FROM x:1\n", b="FROM lab/a:1\n")
    first = msgspec.structs.replace(images.images[0], name="docker.io/lab/a:1")
    assert needs(ImageList((first, images.images[1])), tmp_path, "b") == ("docker.io/lab/a:1",)


@pytest.mark.parametrize("place", ["FROM {}", "FROM x:1\nCOPY --from={} /a /b", "FROM x:1\nRUN --mount=from={} true"])
def test_podmans_spelling_is_that_name_unless_another_image_has_it(tmp_path, place):
    images = write(tmp_path, b=place.format("localhost/lab/a:1") + "\n", a="FROM x:1\n")
    assert needs(images, tmp_path, "b") == ("lab/a:1",)
    assert order(images, tmp_path) == ["lab/a:1", "lab/b:1"]
    local = msgspec.structs.replace(images.images[1], name="localhost/lab/a:1")
    assert needs(ImageList((*images.images, local)), tmp_path, "b") == ("localhost/lab/a:1",)
    hub = msgspec.structs.replace(images.images[1], name="docker.io/lab/a:1")
    assert needs(ImageList((images.images[0], hub)), tmp_path, "b") == ()


def test_an_image_may_be_built_on_what_a_registry_on_this_machine_has_under_its_name(tmp_path):
    assert needs(write(tmp_path, a="FROM localhost/lab/a:1\n"), tmp_path, "a") == ()


def test_podmans_spelling_of_a_base_is_that_name(tmp_path):
    listed = write(tmp_path, a="FROM x:1\n")
    (tmp_path / "script").write_text("true\n")
    snapshot = ImageSpec("lab/b:1", snapshot=Snapshot(base="localhost/lab/a:1", script="script"))
    assert needs(ImageList((snapshot, *listed.images)), tmp_path, "b") == ("lab/a:1",)


def test_the_platform_decides_what_is_needed(tmp_path):
    images = write(tmp_path, b="FROM lab/a-${TARGETARCH}:1\n", **{"a-arm64": "FROM x:1\n"})
    arm = msgspec.structs.replace(images.images[0], platform="linux/arm64")
    assert needs(ImageList((arm, images.images[1])), tmp_path, "b") == ("lab/a-arm64:1",)
    same = msgspec.structs.replace(images.images[0], platform="Linux/aarch64")
    assert needs(ImageList((same, images.images[1])), tmp_path, "b") == ("lab/a-arm64:1",)


@pytest.mark.parametrize("trigger", ["COPY --from=docker.io/lab/tool:1 /a /b", "RUN --mount=from=lab/tool:1 true"])
def test_what_the_onbuild_of_a_base_names_is_needed_by_both(tmp_path, trigger):
    images = write(
        tmp_path,
        grandchild="FROM lab/child:1\n",
        child="FROM lab/base:1\n",
        base=f"FROM x:1\nONBUILD {trigger}\n",
        tool="FROM x:1\n",
    )
    assert order(images, tmp_path) == ["lab/tool:1", "lab/base:1", "lab/child:1", "lab/grandchild:1"]
    found = resolve_images(images, tmp_path, ["lab/grandchild:1"])
    assert {name: image.needs for name, image in found.items()} == {
        "lab/tool:1": (),
        "lab/base:1": ("lab/tool:1",),
        "lab/child:1": ("lab/base:1", "lab/tool:1"),
        "lab/grandchild:1": ("lab/child:1",),
    }
    assert set(found["lab/child:1"].used.values()) == {"lab/base:1", "lab/tool:1"}


def test_what_an_onbuild_names_is_never_another_image_of_that_name(tmp_path):
    images = write(tmp_path, child="FROM lab/base:1\n")
    child = resolve_images(images, tmp_path)["lab/child:1"]
    bases = {"lab/tool:1": HeldBase("skyport-wf/base:abc", DIGEST)}
    with pytest.raises(BuildError, match="an ONBUILD of its base takes files from lab/tool:1, and another image is"):
        child.source.make(None, child.spec, bases, print)


def test_an_image_may_be_built_on_an_earlier_stage_of_its_own_file(tmp_path):
    images = write(tmp_path, a="FROM x:1 AS tool\nFROM lab/b:1\nRUN tool\n", b="FROM lab/a:1\n")
    tool = msgspec.structs.replace(images.images[0], target="tool")
    images = ImageList((tool, images.images[1]))
    assert order(images, tmp_path) == ["lab/a:1", "lab/b:1"]
    assert needs(images, tmp_path, "a") == ()


def test_build_args_decide_what_is_needed(tmp_path):
    images = write(tmp_path, a="FROM x:1\n", b="ARG BASE=x:1\nFROM $BASE\n")
    assert needs(images, tmp_path, "b") == ()
    told = ImageSpec("lab/b:1", dockerfile="b/Dockerfile", build_args={"BASE": "lab/a:1"})
    assert needs(ImageList((images.images[0], told)), tmp_path, "b") == ("lab/a:1",)


@pytest.mark.parametrize(
    ("dockerfiles", "circle"),
    [
        ({"a": "FROM lab/a:1\n"}, ["lab/a:1 -> lab/a:1"]),
        (
            {"a": "FROM lab/b:1\n", "b": "FROM lab/a:1\n"},
            ["lab/a:1 -> lab/b:1 -> lab/a:1", "lab/b:1 -> lab/a:1 -> lab/b:1"],
        ),
        (
            {"z": "FROM lab/a:1\n", "a": "FROM lab/b:1\n", "b": "FROM lab/c:1\n", "c": "FROM lab/a:1\n"},
            [
                "lab/a:1 -> lab/b:1 -> lab/c:1 -> lab/a:1",
                "lab/b:1 -> lab/c:1 -> lab/a:1 -> lab/b:1",
                "lab/c:1 -> lab/a:1 -> lab/b:1 -> lab/c:1",
            ],
        ),
    ],
)
def test_a_circle_is_shown_as_each_image_and_what_it_is_built_on(tmp_path, dockerfiles, circle):
    images = write(tmp_path, **dockerfiles)
    with pytest.raises(UsageError) as caught:
        plan_images(images, tmp_path)
    message, _, shown = str(caught.value).partition(": ")
    assert message == "images are built on each other in a circle"
    assert shown in circle


def test_what_a_workflow_engine_gets_to_know(tmp_path):
    images = write(tmp_path, base="FROM x:1\n", top="FROM lab/base:1\n")
    images = ImageList((*images.images, ImageSpec("lab/old:1", archive="old.tar.gz"), ImageSpec("lab/i:1", image="i")))
    planned = {image.name: image for image in plan_images(images, tmp_path)}
    assert {image.key: image.source for image in planned.values()} == {
        "lab_base_1": "dockerfile",
        "lab_top_1": "dockerfile",
        "lab_old_1": "archive",
        "lab_i_1": "image",
    }
    assert planned["lab/top:1"].needs == ("lab/base:1",)
    assert planned["lab/base:1"].archive is None
    assert planned["lab/old:1"].archive == str(tmp_path / "old.tar.gz")
    assert len({image.digest for image in planned.values()}) == 4


def test_an_absolute_archive_stays_what_it_is(tmp_path):
    images = ImageList((ImageSpec("lab/old:1", archive="/srv/old.tar.gz"),))
    assert plan_images(images, tmp_path)[0].archive == "/srv/old.tar.gz"


def digests(images: ImageList, folder: Path) -> dict[str, str]:
    return {image.name: image.digest for image in plan_images(images, folder)}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_change_reaches_what_is_built_on_it_and_nothing_else(tmp_path):
    images = write(
        tmp_path, base="FROM x:1\n", middle="FROM lab/base:1\n", top="FROM lab/middle:1\n", other="FROM x:1\n"
    )
    before = digests(images, tmp_path)
    (tmp_path / "middle/new").write_text("")
    assert changed(before, digests(images, tmp_path)) == {"lab/middle:1", "lab/top:1"}


def test_another_image_in_the_list_changes_nothing_for_the_others(tmp_path):
    images = write(tmp_path, a="FROM x:1\n", b="FROM x:1\n")
    fewer = ImageList(images.images[:1])
    assert changed(digests(images, tmp_path), digests(fewer, tmp_path)) == {"lab/b:1"}


def test_how_one_gets_there_changes_nothing(tmp_path):
    images = write(tmp_path, a="FROM x:1\n")
    assert digests(images, tmp_path) == digests(ImageList(images.images, ShockSettings(token_env="T")), tmp_path)


@pytest.mark.parametrize("settings", [ShockSettings(url="http://x"), ShockSettings(public=False)])
def test_where_it_goes_changes_the_plan_but_not_the_source(tmp_path, settings):
    images = write(tmp_path, a="FROM x:1\n")
    moved = ImageList(images.images, settings)
    assert digests(images, tmp_path) != digests(moved, tmp_path)
    assert source_digests(images, tmp_path) == source_digests(moved, tmp_path)


def test_the_variable_that_wins_over_the_list_changes_the_plan(tmp_path, monkeypatch):
    images = write(tmp_path, a="FROM x:1\n")
    before = digests(images, tmp_path)
    monkeypatch.setenv("SHOCK_URL", "http://shock.example.org")
    assert digests(images, tmp_path) != before


def test_the_same_digest_wherever_the_project_lies(tmp_path):
    images = write(tmp_path / "one", a="FROM x:1\n")
    write(tmp_path / "two", a="FROM x:1\n")
    assert digests(images, tmp_path / "one") == digests(images, tmp_path / "two")


def test_an_image_that_is_not_built_has_no_source_digest(tmp_path):
    images = ImageList((ImageSpec("lab/old:1", archive="none.tar.gz"),))
    assert source_digests(images, tmp_path) == {"lab/old:1": ""}


def test_a_missing_dockerfile_is_named(tmp_path):
    images = ImageList((ImageSpec("lab/a:1", dockerfile="a/Dockerfile"),))
    with pytest.raises(UsageError, match=r"^image lab/a:1: there is no Dockerfile .*a/Dockerfile\. Mend"):
        plan_images(images, tmp_path)


@pytest.mark.slow
@given(st.data())
def test_any_images_without_a_circle_have_an_order(tmp_path_factory, data):
    count = data.draw(st.integers(1, 6))
    below = [data.draw(st.lists(st.integers(0, n - 1), max_size=3)) if n else [] for n in range(count)]
    texts = {f"i{n}": "FROM x:1\n" + "".join(f"FROM lab/i{m}:1\n" for m in below[n]) for n in range(count)}
    shuffled = list(texts.items())
    random.Random(data.draw(st.integers(0, 99))).shuffle(shuffled)
    folder = tmp_path_factory.mktemp("plan")
    found = order(write(folder, **dict(shuffled)), folder)
    assert len(found) == count
    for n, needed in enumerate(below):
        assert all(found.index(f"lab/i{m}:1") < found.index(f"lab/i{n}:1") for m in needed)


def test_another_spelling_of_a_platform_runs_no_step_again(tmp_path):
    def digest(platform: str) -> str:
        images = ImageList((ImageSpec("lab/a:1", archive="a.tar", platform=platform),))
        return plan_images(images, tmp_path)[0].digest

    assert digest("linux/x86_64") == digest("Linux/AMD64") == digest("linux/amd64") != digest("linux/arm64")


@pytest.mark.parametrize("spelling", ["./a.tar", ".//a.tar"])
def test_another_spelling_of_an_archives_path_runs_no_step_again(tmp_path, spelling):
    def digest(archive: str) -> str:
        return plan_images(ImageList((ImageSpec("lab/a:1", archive=archive),)), tmp_path)[0].digest

    assert digest(spelling) == digest("a.tar") != digest("b.tar")
