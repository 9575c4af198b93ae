from pathlib import Path
from typing import NoReturn

import msgspec
import pytest

from skyport_wf.engine import builders
from skyport_wf.engine.connection import connect
from skyport_wf.errors import AlreadyPublishedError, ShockError, SkyportError, TemporaryError, UsageError
from skyport_wf.image_list.spec import BuildSecret, ImageList, ImageSpec, ShockSettings
from skyport_wf.inspection.status import ImageStatus, read_status
from skyport_wf.publication.connection import open_shock
from skyport_wf.publication.retire import retire_all
from skyport_wf.records.receipt import Receipt
from skyport_wf.records.records import BuildRecord, SaveRecord, UploadRecord
from skyport_wf.shock.client import ShockClient
from skyport_wf.sources.resolution import resolve_images
from skyport_wf.sources.source import Connect
from skyport_wf.steps.build import begin_record, check_builds
from skyport_wf.steps.register import register
from skyport_wf.steps.upload import upload
from tests.support.sample_records import ARCHIVE, saved_archive


@pytest.fixture
def images(tmp_path: Path) -> ImageList:
    (tmp_path / "tool").mkdir()
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:bookworm\n")
    return ImageList((ImageSpec("a/b:1", dockerfile="tool/Dockerfile"),))


IMAGE_ID = "sha256:" + "1" * 64


def uploaded(images: ImageList, folder: Path, *, image_id: str = IMAGE_ID) -> UploadRecord:
    """Upload the first image of the list as if it had been built."""
    archive = folder / "image.tar.gz"
    archive.write_bytes(ARCHIVE)
    build = msgspec.structs.replace(begun(images, folder), image=image_id)
    save = SaveRecord(build=build, archive=archive.name, saved=saved_archive(image_id=image_id))
    with open_shock(build.shock) as opened:
        return upload(save, archive, opened)


def begun(images: ImageList, folder: Path) -> BuildRecord:
    """Return what is known of the first image of the list before it is built."""
    return begin_record(resolve_images(images, folder)[images.images[0].name], images.shock, connect)


def registered(record: UploadRecord) -> Receipt:
    with open_shock(record.build.shock) as opened:
        return register(record, opened)


def publish(images: ImageList, folder: Path, *, image_id: str = IMAGE_ID) -> str:
    """Publish the first image of the list as if it had been built, and return its node."""
    return registered(uploaded(images, folder, image_id=image_id)).node


def replaced(image: ImageSpec, **changes: object) -> ImageSpec:
    return msgspec.structs.replace(image, **changes)


def changed(images: ImageList, **changes: object) -> ImageList:
    return ImageList((replaced(images.images[0], **changes),), images.shock)


def status(images: ImageList, folder: Path) -> ImageStatus:
    image = resolve_images(images, folder)[images.images[0].name]
    with open_shock(images.shock) as opened:
        return read_status(image, images.shock, opened)


def test_not_published(images, tmp_path):
    found = status(images, tmp_path)
    assert (found.name, found.state, found.next) == ("a/b:1", "not published", "build and publish it")
    assert found.image_id is found.node is found.size is None


def test_published(images, tmp_path):
    node = publish(images, tmp_path)
    found = status(images, tmp_path)
    assert (found.state, found.next, found.node) == ("published", "do nothing", node)
    assert (found.image_id, found.size) == (IMAGE_ID, len(ARCHIVE))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"secrets": {"key": BuildSecret(file="nosuch")}}, "there is no file {}/nosuch for the build secret 'key'"),
        ({"secrets": {"key": BuildSecret(env="NOSUCH")}}, "the variable NOSUCH of the build secret 'key' is not set"),
        ({"ssh": ("default=nosuch",)}, "there is no {}/nosuch, the agent or key of `ssh` 'default'"),
    ],
)
def test_what_the_build_lacks_here(images, tmp_path, fields, why):
    """It does not count where the image is published."""
    listed = changed(images, **fields)
    found = status(listed, tmp_path)
    assert (found.state, found.would_fail) == ("not published", True)
    assert found.next == f"fail: image a/b:1: {why.format(tmp_path)}"
    publish(listed, tmp_path)
    assert status(listed, tmp_path).next == "do nothing"


def test_a_tag_that_workers_without_one_fail_on(images, tmp_path):
    listed = changed(images, name="a/b:20240101123456789012")
    hurts = "while it is published, AWE workers fail on a/b without a tag"
    assert hurts in status(listed, tmp_path).warning
    assert status(images, tmp_path).warning == ""


def check_all(images: ImageList, folder: Path, connect: Connect) -> None:
    with open_shock(images.shock) as opened:
        check_builds(list(resolve_images(images, folder).values()), images.shock, opened, connect)


def never() -> NoReturn:
    pytest.fail("the engine is asked")


def silent() -> NoReturn:
    raise TemporaryError("no engine answers")


def test_before_several_are_built_all_of_them_are_looked_at(images, tmp_path, monkeypatch):
    (plain,) = images.images
    secret = {"key": BuildSecret(file="nosuch")}
    listed = ImageList(
        (plain, *(replaced(plain, name=f"a/{name}:1", secrets=secret) for name in ("c", "d"))), images.shock
    )

    def check_builder(engine: object, image: ImageSpec) -> None:
        if image.name == "a/c:1":
            raise UsageError("a/c:1 has no builder here")

    monkeypatch.setattr(builders, "check_builder", check_builder)
    lacks = "image a/{}:1: there is no file {}/nosuch for the build secret 'key'"
    for engine, first in ((object, "a/c:1 has no builder here"), (silent, lacks.format("c", tmp_path))):
        with pytest.raises(UsageError) as caught:
            check_all(listed, tmp_path, engine)
        assert str(caught.value).splitlines() == [first, lacks.format("d", tmp_path)]
    (tmp_path / "nosuch").touch()
    check_all(ImageList((listed.images[0], listed.images[2]), images.shock), tmp_path, object)


@pytest.mark.parametrize("spelled", ["a/b:1", "docker.io/a/b:1"])
def test_a_digest_that_the_published_base_does_not_have(images, tmp_path, spelled):
    """The step told it, when others had been built; of a base that is to be published, the digest is not known yet."""
    (base,) = images.images
    other = f"sha256:{'7' * 64}"
    (tmp_path / "on").write_text(f"FROM {spelled}@{other}\n")
    listed = ImageList((replaced(base, name="a/c:1", dockerfile="on", context="tool"), base), images.shock)
    assert status(listed, tmp_path).next == "build and publish it"
    check_all(listed, tmp_path, silent)
    publish(images, tmp_path)
    said = f"a/c:1 is built on {spelled}@{other}, an image of the list, which has another digest now: {IMAGE_ID}"
    found = status(listed, tmp_path)
    assert found.next.startswith(f"fail: {said}")
    with pytest.raises(UsageError, match=said):
        check_all(listed, tmp_path, silent)
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:trixie\n")
    assert status(listed, tmp_path).next == "build and publish it"
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:bookworm\n")
    (tmp_path / "on").write_text(f"FROM {spelled}@{IMAGE_ID}\n")
    assert status(listed, tmp_path).next == "build and publish it"


def test_of_what_needs_no_build_the_engine_is_not_asked(images, tmp_path):
    check_all(images, tmp_path, never)
    listed = changed(images, secrets={"key": BuildSecret(file="nosuch")}, builder="buildkit")
    publish(listed, tmp_path)
    check_all(listed, tmp_path, never)


def test_touching_changes_nothing_and_editing_does(images, tmp_path):
    node = publish(images, tmp_path)
    (tmp_path / "tool/Dockerfile").touch()
    assert status(images, tmp_path).state == "published"
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:trixie\n")
    found = status(images, tmp_path)
    assert (found.state, found.node) == ("name taken", node)
    assert found.next.startswith(f"fail: a/b:1 is published already, as another image (node {node} with image ")


def test_with_leave_to_replace(images, tmp_path):
    node = publish(images, tmp_path)
    (tmp_path / "tool/Dockerfile").write_text("FROM debian:trixie\n")
    found = status(changed(images, replace=True), tmp_path)
    assert (found.state, found.next) == ("to be replaced", f"build and publish it, and retire node {node}")


@pytest.mark.parametrize("damage", ["expiring", "private"])
def test_a_registration_that_was_not_finished(images, tmp_path, shock: ShockClient, damage):
    node = publish(images, tmp_path)
    if damage == "private":
        shock.set_public(node, False)
    else:
        shock._ask("PUT", f"/node/{node}", files={"expiration": (None, "1D")})
    found = status(images, tmp_path)
    expected = {
        "private": ("other readers", "open it to everyone"),
        "expiring": ("unfinished", "finish its registration"),
    }
    assert (found.state, found.next) == expected[damage]


def test_an_engine_that_does_not_answer_is_unknown_not_absent(tmp_path):
    images = ImageList((ImageSpec("a/b:1", image="x:local"),))
    found = status(images, tmp_path)
    assert found.state == "unknown"
    assert found.next.startswith("fail: no Docker engine answers at unix://")


def test_a_shock_that_does_not_answer_is_an_error_not_absence(images, tmp_path, failing_server):
    failing_server.answers = [failing_server.answers[0]._replace(status=500)]
    images = ImageList(images.images, ShockSettings(url=failing_server.url))
    with pytest.raises(TemporaryError, match=r"answers GET /node with HTTP 500\.$"):
        status(images, tmp_path)


def test_a_missing_archive(tmp_path):
    images = ImageList((ImageSpec("a/b:1", archive="none.tar.gz"),))
    with pytest.raises(UsageError) as caught:
        status(images, tmp_path)
    assert str(caught.value) == (
        f"image a/b:1: there is no archive {tmp_path}/none.tar.gz. Mend `archive` in the image list."
    )


class TestTheStepsThatStatusForesees:
    def test_publishing_again_changes_nothing(self, images, tmp_path, shock):
        first = publish(images, tmp_path)
        assert publish(images, tmp_path) == first
        assert len(shock.query({"name": "a/b:1"})) == 1

    def test_another_image_is_refused_before_it_is_sent(self, images, tmp_path, shock):
        publish(images, tmp_path)
        (tmp_path / "tool/Dockerfile").write_text("FROM debian:trixie\n")
        with pytest.raises(AlreadyPublishedError, match=r"^a/b:1 is published already, as another image"):
            publish(images, tmp_path, image_id="sha256:2")
        assert len(shock.query({"name": "a/b:1"})) == 1

    def test_a_replaced_image_keeps_its_node_but_not_its_name(self, images, tmp_path, shock):
        first = publish(images, tmp_path)
        (tmp_path / "tool/Dockerfile").write_text("FROM debian:trixie\n")
        second = publish(changed(images, replace=True), tmp_path, image_id="sha256:" + "2" * 64)
        assert [node.id for node in shock.query({"type": "dockerimage", "name": "a/b:1"})] == [second]
        assert [node.id for node in shock.query({"type": "dockerimage-retired"})] == [first]

    def test_the_same_image_from_another_source_is_not_sent_again(self, images, tmp_path, shock):
        first = publish(images, tmp_path)
        (tmp_path / "tool/Dockerfile").write_text("FROM debian:bookworm\n# the same image comes out\n")
        assert publish(images, tmp_path) == first
        assert len(shock.query({"name": "a/b:1"})) == 1
        assert status(images, tmp_path).state == "published"

    def test_the_upload_that_turns_out_superfluous_is_deleted(self, images, tmp_path, shock):
        first, second = (uploaded(images, tmp_path) for _ in range(2))
        assert first.node != second.node
        assert registered(first) == registered(second)
        assert shock.find(second.node) is None
        assert status(images, tmp_path).node == first.node

    def test_a_private_image_is_for_its_owner(self, images, tmp_path, shock):
        node = publish(changed(images, public=False), tmp_path)
        assert shock.read_access(node).public.read is False

    def test_an_archive_that_changed_since_it_was_saved_is_not_sent(self, images, tmp_path, opened, shock):
        build = begun(images, tmp_path)
        (tmp_path / "image.tar.gz").write_bytes(ARCHIVE + b"more")
        save = SaveRecord(build=build, archive="image.tar.gz", saved=saved_archive())
        with pytest.raises(SkyportError) as caught:
            upload(save, tmp_path / "image.tar.gz", opened)
        size = len(ARCHIVE)
        assert str(caught.value) == (
            f"{tmp_path}/image.tar.gz has {size + 4} bytes, its record says {size}. Run `skyport-wf save` again."
        )
        assert shock.query({"name": "a/b:1"}) == []

    def test_an_archive_of_the_right_size_but_other_bytes_is_taken_away_again(self, images, tmp_path, opened, shock):
        build = begun(images, tmp_path)
        (tmp_path / "image.tar.gz").write_bytes(ARCHIVE[::-1])
        save = SaveRecord(build=build, archive="image.tar.gz", saved=saved_archive())
        with pytest.raises(
            TemporaryError, match=r"^a/b:1 arrived damaged: the embedded Shock stored \d+ bytes with MD5"
        ):
            upload(save, tmp_path / "image.tar.gz", opened)
        assert shock.query({"name": "a/b:1"}) == []

    @pytest.mark.parametrize("error", [ShockError("not allowed"), TemporaryError("no answer")])
    def test_it_is_told_also_where_it_cannot_be_taken_away(self, images, tmp_path, opened, monkeypatch, error):
        def refuse(*_):
            raise error

        monkeypatch.setattr(ShockClient, "delete", refuse)
        save = SaveRecord(build=begun(images, tmp_path), archive="image.tar.gz", saved=saved_archive())
        (tmp_path / "image.tar.gz").write_bytes(ARCHIVE[::-1])
        with pytest.raises(TemporaryError, match="arrived damaged"):
            upload(save, tmp_path / "image.tar.gz", opened)


def test_a_record_that_names_another_node_changes_nothing(images, tmp_path):
    other = ImageList((msgspec.structs.replace(images.images[0], name="a/other:1"),), images.shock)
    node = publish(other, tmp_path, image_id="sha256:" + "2" * 64)
    record = msgspec.structs.replace(uploaded(images, tmp_path), node=node)
    with pytest.raises(SkyportError, match=f"node {node} of .* is no upload of this image, whatever the record says"):
        registered(record)
    assert status(other, tmp_path).node == node
    assert status(images, tmp_path).state == "not published"
    # Where the image has its name already, such a node is no upload that is not needed.
    published = publish(images, tmp_path)
    assert registered(record).node == published
    assert status(other, tmp_path).node == node


def test_an_old_record_deletes_no_retired_image(images, tmp_path, opened, shock):
    record = uploaded(images, tmp_path)
    retired = registered(record).node
    retire_all(opened, ["a/b:1"])
    again = registered(uploaded(images, tmp_path)).node
    assert registered(record).node == again != retired
    assert shock.find(retired).text("type") == "dockerimage-retired"
