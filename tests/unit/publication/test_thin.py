"""Thin images in a Shock: what they need there, what is said of them, who may take a base away."""

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from skyport_wf.engine.connection import connect
from skyport_wf.errors import AlreadyPublishedError, ShockError, SkyportError, UsageError
from skyport_wf.image_list.spec import ImageList, ImageSpec, ShockSettings
from skyport_wf.inspection.plan import plan_images
from skyport_wf.inspection.status import ImageStatus, read_status
from skyport_wf.inspection.verify import verify
from skyport_wf.publication.attributes import describe_image, read_attributes, to_json_values
from skyport_wf.publication.connection import Shock, open_shock
from skyport_wf.publication.deletion import plan_deletion
from skyport_wf.publication.name_state import find_name_state, wanted_image
from skyport_wf.publication.published import find_published
from skyport_wf.publication.receipts import make_receipt
from skyport_wf.publication.retire import restore_all, retire_all, retire_node_of_id
from skyport_wf.publication.thin import base_problem, check_base, find_ambiguity, find_thin_on
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.receipt import Receipt, merge_into_lock
from skyport_wf.records.records import SaveRecord, UploadRecord
from skyport_wf.records.source import Source, ThinBase
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.sources.resolution import resolve_images
from skyport_wf.steps.build import begin_record
from skyport_wf.steps.register import register
from skyport_wf.steps.upload import upload
from skyport_wf.transfer.thin_chain import MAX_CHAIN, read_chain
from tests.support.sample_records import build_record, saved_archive

BASE, TOOL = "lab/base:12", "lab/tool:1"
BASE_ID, TOOL_ID, OTHER_ID = (f"sha256:{digit * 64}" for digit in "ab9")
LAYER = "sha256:" + "2" * 64


def on(base: str = BASE, image_id: str | None = BASE_ID) -> ThinBase:
    return ThinBase(base, image_id, (LAYER,))


def uploaded(folder: Path, name: str, image_id: str, **changes: Any) -> UploadRecord:
    archive = folder / "image.tar.gz"
    archive.write_bytes(name.encode())
    digest = f"sha256:{hashlib.sha256(f'{name}{image_id}{changes}'.encode()).hexdigest()}"
    build = build_record(name=name, source=Source("image", digest), image=image_id, **changes)
    save = SaveRecord(build, archive.name, saved_archive(name.encode(), image_id=image_id))
    with open_shock(build.shock) as shock:
        return upload(save, archive, shock)


def publish(folder: Path, name: str, image_id: str, **changes: Any) -> Receipt:
    record = uploaded(folder, name, image_id, **changes)
    with open_shock(record.build.shock) as shock:
        return register(record, shock)


def foreign(shock: ShockClient, name: str, image_id: str, **attributes: str) -> Node:
    """Publish an image as another tool does."""
    repository, _, tag = name.partition(":")
    values = {"type": "dockerimage", "name": name, "repository": repository, "tag": tag, "id": image_id, **attributes}
    node = shock.create(lambda: [gzip.compress(name.encode())], file_name="x", attributes=values, expiration="2D")
    return shock.keep(node.id)


def test_the_receipt_and_the_attributes_say_so(tmp_path: Path, shock: ShockClient) -> None:
    publish(tmp_path, BASE, BASE_ID)
    receipt = publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    assert receipt.thin_on == ThinBase(BASE, BASE_ID, (LAYER,))
    node = shock.find(receipt.node)
    assert node is not None
    assert node.attributes is not None
    assert (node.attributes["base_image_tag"], node.attributes["base_image_id"]) == (BASE, BASE_ID)
    use = json.loads(encode_json(receipt))["use"]
    assert use == {"awe": {"Dockerimage": TOOL}, "cwl": {"DockerRequirement": {"dockerImageId": TOOL}}}


def test_a_whole_image_says_nothing_of_a_base(tmp_path: Path, shock: ShockClient) -> None:
    receipt = publish(tmp_path, BASE, BASE_ID)
    assert receipt.thin_on is None
    node = shock.find(receipt.node)
    assert node is not None
    assert node.attributes is not None
    assert (node.attributes["base_image_tag"], node.attributes["base_image_id"]) == ("", "")


def test_a_thin_image_of_another_tool() -> None:
    values = {"type": "dockerimage", "name": TOOL, "id": "4f1c", "base_image_id": "77aa", "base_image_tag": BASE}
    attributes = read_attributes(values)
    assert attributes is not None
    made = make_receipt(attributes, node="n", size=1, md5="e" * 32, shock="x", download_url="http://x", public=True)
    assert made.thin_on == ThinBase(BASE, "77aa", None)
    assert b"dockerLoad" not in encode_json(made)


def test_it_says_once_that_workers_need_the_base(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    publish(tmp_path, BASE, BASE_ID)
    publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    said = [record.getMessage() for record in caplog.records if "workers" in record.getMessage()]
    assert said == [
        f"{TOOL} is a thin image built on {BASE}: AWE workers fetch no base by themselves, each needs it loaded "
        "beforehand "
        f"(skyport-wf pull {BASE})"
    ]


def test_a_base_that_is_not_published(tmp_path: Path, shock: ShockClient) -> None:
    with pytest.raises(ShockError) as caught:
        publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    assert str(caught.value) == (
        f"{TOOL} is a thin image built on {BASE}, which the embedded Shock does not have, so nobody could load it. "
        f"Publish {BASE} "
        f"first, or {TOOL} without `base`."
    )
    assert find_published(shock, TOOL) == []


def test_a_base_that_is_another_image_now(tmp_path: Path, shock: ShockClient) -> None:
    node = publish(tmp_path, BASE, OTHER_ID).node
    with pytest.raises(ShockError) as caught:
        publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    assert str(caught.value) == (
        f"{TOOL} is a thin image built on {BASE} with image {BASE_ID}, and {BASE} is image {OTHER_ID} now (node "
        f"{node}). Build "
        f"{TOOL} on that (skyport-wf pull {BASE} gets it); if it is published already, under a new tag."
    )
    assert find_published(shock, TOOL) == []


def test_nothing_is_built_on_a_name_that_several_images_have(tmp_path: Path, opened: Shock) -> None:
    first = publish(tmp_path, BASE, BASE_ID).node
    assert find_ambiguity(find_published(opened.user, BASE)) == ""
    attributes = {"type": "dockerimage", "name": BASE, "id": OTHER_ID}
    second = opened.user.create_empty(attributes=attributes, expiration="1D").id
    damaged = opened.user.create_empty(attributes={**attributes, "id": 5}, expiration="1D").id
    for node in (first, second, damaged):
        opened.user.set_public(node, True)
    expected = (
        f"nothing can be built on {BASE}, as nobody can tell which image that is. These nodes have the name: {first} "
        f"({BASE_ID}), {second} ({OTHER_ID}), {damaged} (damaged). Retire those that are wrong, or ask their owners to."
    )
    assert find_ambiguity(find_published(opened.user, BASE)) == expected
    assert base_problem(opened, TOOL, ThinBase(BASE, None), public=True) == expected


def test_a_private_base_of_a_public_image(tmp_path: Path, shock: ShockClient) -> None:
    publish(tmp_path, BASE, BASE_ID, shock=ShockSettings(public=False))
    with pytest.raises(
        ShockError, match=f"{TOOL} is public and thin on {BASE}, which is private, so that others could"
    ):
        publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    assert find_published(shock, TOOL) == []
    private = publish(tmp_path, TOOL, TOOL_ID, thin_on=on(), shock=ShockSettings(public=False))
    assert private.thin_on == on()


def test_a_base_that_the_engine_knows_by_another_id(tmp_path: Path, shock: ShockClient) -> None:
    """On containerd's image store the engine's id of an image is not the config digest."""
    publish(tmp_path, BASE, OTHER_ID)
    (node,) = find_published(shock, BASE)
    assert node.attributes.skyport_wf is not None
    known = msgspec.structs.replace(node.attributes.skyport_wf, engine_image_id=BASE_ID)
    shock.replace_attributes(node.id, to_json_values(msgspec.structs.replace(node.attributes, skyport_wf=known)))
    receipt = publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    assert receipt.thin_on == on(image_id=OTHER_ID)
    (published,) = find_published(shock, TOOL)
    assert published.attributes.base_image_id == OTHER_ID


def test_a_base_of_another_tool_has_its_id_without_a_prefix(opened: Shock) -> None:
    base = foreign(opened.user, BASE, BASE_ID.removeprefix("sha256:"))
    opened.user.set_public(base.id, True)
    assert check_base(opened, TOOL, on(), public=True).id == base.id


@pytest.mark.slow
def test_thin_and_whole_are_two_publications(tmp_path: Path) -> None:
    publish(tmp_path, BASE, BASE_ID)
    publish(tmp_path, TOOL, TOOL_ID)
    with pytest.raises(AlreadyPublishedError, match=f"with image {TOOL_ID}, whole, registered"):
        publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    thin = publish(tmp_path, TOOL, TOOL_ID, thin_on=on(), replace=True)
    assert thin.thin_on == on()
    with pytest.raises(AlreadyPublishedError, match=f"with image {TOOL_ID}, thin, built on {BASE}, registered"):
        publish(tmp_path, TOOL, TOOL_ID)
    assert publish(tmp_path, TOOL, TOOL_ID, thin_on=on()).node == thin.node


def test_a_thin_node_of_another_tool_is_not_taken_for_a_whole_one(opened: Shock) -> None:
    foreign(opened.user, TOOL, TOOL_ID, base_image_id=BASE_ID, base_image_tag=BASE)
    for thin_on, same in {BASE: True, "": False, "lab/other:1": False}.items():
        base = ThinBase(thin_on) if thin_on else None
        build = build_record(name=TOOL, source=Source("image", "x"), replace=True, thin_on=base)
        wanted = wanted_image(build, image_id=TOOL_ID)
        names = find_name_state(opened, wanted, find_published(opened.user, wanted.name))
        assert (names.same is not None) is same


def listed(folder: Path, *specs: ImageSpec) -> ImageList:
    for spec in specs:
        if spec.dockerfile:
            (folder / spec.dockerfile).parent.mkdir(parents=True, exist_ok=True)
            (folder / spec.dockerfile).write_text("FROM lab/other:1\n")
    return ImageList(specs)


def spec(name: str, *, base: str | None = None, **fields: Any) -> ImageSpec:
    return ImageSpec(f"lab/{name}:1", dockerfile=f"{name}/Dockerfile", base=base, **fields)


def test_the_base_comes_first(tmp_path: Path) -> None:
    images = listed(tmp_path, spec("top", base="lab/middle:1"), spec("middle", base="lab/low:1"), spec("low"))
    assert list(resolve_images(images, tmp_path)) == ["lab/low:1", "lab/middle:1", "lab/top:1"]
    planned = {image.name: (image.needs, image.base) for image in plan_images(images, tmp_path)}
    assert planned["lab/top:1"] == (("lab/middle:1",), "lab/middle:1")
    assert planned["lab/low:1"] == ((), None)


@pytest.mark.parametrize("source", [{"image": "x"}, {"container": "x"}])
def test_the_base_of_what_is_not_built_comes_first(tmp_path: Path, source: dict[str, str]) -> None:
    images = listed(tmp_path, ImageSpec("lab/a:1", base="lab/low:1", **source), spec("low"))
    assert list(resolve_images(images, tmp_path)) == ["lab/low:1", "lab/a:1"]


def test_a_base_that_somebody_else_published_is_not_in_the_plan(tmp_path: Path) -> None:
    (planned,) = plan_images(listed(tmp_path, spec("a", base="their/base:1")), tmp_path)
    assert (planned.needs, planned.base) == ((), None)


@pytest.mark.parametrize(
    ("bases", "circle"),
    [
        ({"a": "a"}, "lab/a:1 -> lab/a:1"),
        ({"a": "b", "b": "a"}, "lab/a:1 -> lab/b:1 -> lab/a:1"),
    ],
)
def test_a_circle(tmp_path: Path, bases: dict[str, str], circle: str) -> None:
    images = listed(tmp_path, *(spec(name, base=f"lab/{base}:1") for name, base in bases.items()))
    with pytest.raises(UsageError) as caught:
        resolve_images(images, tmp_path)
    assert str(caught.value).startswith("images are built on each other in a circle: ")
    assert set(str(caught.value).partition(": ")[2].split(" -> ")) == set(circle.split(" -> "))


def test_the_source_digest_changes_with_base(tmp_path: Path) -> None:
    digests = set()
    for fields in ({}, {"base": BASE}, {"base": "lab/base:13"}, {"flatten": True}):
        (image,) = resolve_images(listed(tmp_path, spec("a", **fields)), tmp_path).values()
        digests.add(image.describe(connect).digest)
    assert len(digests) == 4


def status(images: ImageList, folder: Path) -> ImageStatus:
    with open_shock(images.shock) as shock:
        return read_status(resolve_images(images, folder)[images.images[0].name], images.shock, shock)


def test_status_warns_and_finds_a_base_that_is_gone(tmp_path: Path, opened: Shock) -> None:
    images = listed(tmp_path, ImageSpec(TOOL, dockerfile="a/Dockerfile", base=BASE))
    first = status(images, tmp_path)
    assert (first.state, first.thin_on) == ("base missing", BASE)
    assert first.next.startswith(
        f"fail: {TOOL} is a thin image built on {BASE}, which the embedded Shock does not have"
    )
    assert (
        f"AWE workers fetch no base by themselves, each needs it loaded beforehand (skyport-wf pull {BASE})"
        in first.warning
    )

    publish(tmp_path, BASE, BASE_ID)
    assert status(images, tmp_path).state == "not published"
    source = begin_record(resolve_images(images, tmp_path)[TOOL], images.shock, connect).source
    archive = tmp_path / "image.tar.gz"
    archive.write_bytes(b"thin")
    build = build_record(name=TOOL, source=source, image=TOOL_ID, thin_on=on())
    save = SaveRecord(build, archive.name, saved_archive(b"thin", image_id=TOOL_ID))
    register(upload(save, archive, opened), opened)
    assert status(images, tmp_path).state == "published"

    retire_all(opened, [BASE], force=True)
    gone = status(images, tmp_path)
    assert (gone.state, gone.image_id) == ("base missing", TOOL_ID)


def test_status_does_not_ask_for_a_base_that_the_list_will_publish(tmp_path: Path) -> None:
    images = listed(tmp_path, spec("a", base="lab/b:1"), spec("b"))
    assert status(images, tmp_path).state == "not published"


@pytest.mark.slow
def test_verify_finds_a_base_that_is_gone(tmp_path: Path, opened: Shock) -> None:
    publish(tmp_path, BASE, BASE_ID)
    lock = merge_into_lock(None, [publish(tmp_path, TOOL, TOOL_ID, thin_on=on())])
    assert [found.ok for found in verify(lock, opened)] == [True]
    publish(tmp_path, BASE, OTHER_ID, replace=True)
    (found,) = verify(lock, opened)
    assert found.detail == f"it is a thin image built on {BASE} with image {BASE_ID}, that is image {OTHER_ID} now"
    retire_all(opened, [BASE], force=True)
    (found,) = verify(lock, opened)
    assert found.detail == f"it is a thin image built on {BASE} with image {BASE_ID}, which is not published any more"


@pytest.mark.slow
def test_replacing_a_base_says_who_loses_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = publish(tmp_path, BASE, BASE_ID).node
    publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    publish(tmp_path, BASE, OTHER_ID, replace=True)
    assert f"thin on node {node}, which was {BASE}: {TOOL}. Publish them again" in caplog.text


@pytest.mark.slow
def test_a_base_is_not_retired_under_others(tmp_path: Path, opened: Shock, caplog: pytest.LogCaptureFixture) -> None:
    publish(tmp_path, BASE, BASE_ID)
    for name in (TOOL, "lab/another:1"):
        publish(tmp_path, name, TOOL_ID, thin_on=on())
    with pytest.raises(SkyportError) as caught:
        retire_all(opened, [BASE])
    assert str(caught.value) == (
        f"lab/another:1, {TOOL} are thin images built on {BASE}, and would lack its layers. Publish whole under "
        "another tag and retire the thin one first, or give --force."
    )
    (base,) = find_published(opened.user, BASE)
    assert find_thin_on(opened.user, base) == ["lab/another:1", TOOL]
    retire_all(opened, ["lab/another:1"])
    with pytest.raises(SkyportError, match=f"{TOOL} is a thin image built on {BASE}"):
        retire_all(opened, [BASE])
    retire_all(opened, [BASE], force=True)
    assert find_published(opened.user, BASE) == []
    assert f"{TOOL} loses its base with {BASE}" in caplog.text


def test_a_thin_image_comes_back_with_its_base_only(tmp_path: Path, opened: Shock) -> None:
    base, tool = publish(tmp_path, BASE, BASE_ID), publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    retire_all(opened, [BASE, TOOL])
    for dry_run in (True, False):
        with pytest.raises(ShockError, match=f"{TOOL} is a thin image built on {BASE}, which the embedded Shock does"):
            restore_all(opened, [TOOL], dry_run=dry_run)
    assert find_published(opened.user, TOOL) == []
    both = {TOOL: [tool.node], BASE: [base.node]}
    assert restore_all(opened, [TOOL, BASE], dry_run=True) == both
    assert restore_all(opened, [TOOL, BASE]) == both
    assert [len(find_published(opened.user, name)) for name in both] == [1, 1]
    retire_all(opened, [BASE, TOOL])
    publish(tmp_path, BASE, OTHER_ID)
    with pytest.raises(ShockError, match=f"and {BASE} is image {OTHER_ID} now"):
        restore_all(opened, [TOOL])
    assert restore_all(opened, [TOOL], force=True) == {TOOL: [tool.node]}


def test_a_node_without_a_name_is_a_base_by_its_id_only(shock: ShockClient, opened: Shock) -> None:
    whole = {"base_image_tag": "", "base_image_id": ""}
    foreign(shock, "lab/whole:1", OTHER_ID, **whole)
    alone, base = foreign(shock, "", TOOL_ID, **whole), foreign(shock, "", BASE_ID, **whole)
    foreign(shock, "lab/named:1", OTHER_ID, base_image_tag=BASE, base_image_id=BASE_ID)
    for name, base_id in {"lab/thin:1": BASE_ID, "lab/thin:2": BASE_ID.removeprefix("sha256:")}.items():
        foreign(shock, name, OTHER_ID, base_image_tag="", base_image_id=base_id)
    nothing = foreign(shock, "", "", **whole)
    with pytest.raises(SkyportError, match="lab/thin:1, lab/thin:2 are thin images"):
        retire_node_of_id(opened, base.id)
    for node in (alone, nothing):
        assert retire_node_of_id(opened, node.id) == ""
    deletion = plan_deletion(opened, [], node_id=alone.id)
    assert [(one.image.node.id, one.refusal) for one in deletion] == [(alone.id, "")]


def names(chain: list[Node]) -> list[str]:
    return [str((node.attributes or {})["name"]) for node in chain]


def test_a_chain(shock: ShockClient) -> None:
    foreign(shock, "l/low:1", "1")
    foreign(shock, "l/middle:1", "2", base_image_id="1", base_image_tag="l/low:1")
    top = foreign(shock, "l/top:1", "3", base_image_id="2", base_image_tag="l/middle:1")
    assert names(read_chain(shock, top)) == ["l/low:1", "l/middle:1", "l/top:1"]
    assert names(read_chain(shock, top, present={"1"}.__contains__)) == ["l/middle:1", "l/top:1"]
    assert names(read_chain(shock, top, present={"2"}.__contains__)) == ["l/top:1"]


@pytest.mark.parametrize("told", [{"base_image_id": "1"}, {"base_image_tag": "l/low:1"}])
def test_a_base_of_which_only_one_thing_is_told(shock: ShockClient, told: dict[str, str]) -> None:
    foreign(shock, "l/low:1", "1")
    foreign(shock, "l/other:1", "7")
    assert names(read_chain(shock, foreign(shock, "l/top:1", "3", **told))) == ["l/low:1", "l/top:1"]


@pytest.mark.slow
def test_a_base_that_lost_its_name_will_do(tmp_path: Path, shock: ShockClient) -> None:
    publish(tmp_path, BASE, BASE_ID)
    publish(tmp_path, TOOL, TOOL_ID, thin_on=on())
    publish(tmp_path, BASE, OTHER_ID, replace=True)
    node = shock.find(find_published(shock, TOOL)[0].id)
    assert node is not None
    chain = read_chain(shock, node)
    assert [(one.attributes or {})["id"] for one in chain] == [BASE_ID, TOOL_ID]


def test_of_a_base_that_is_not_there_nothing_is_told_that_a_terminal_acts_upon(shock: ShockClient) -> None:
    top = foreign(shock, "l/top:1", "3", base_image_id="9\n\x1b[31m" + "9" * 100_000)
    with pytest.raises(ShockError, match=r"^l/top:1 is a thin image built on image 9\[31m9+\.\.\., and .*$") as caught:
        read_chain(shock, top)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("base_id", ["9", ""])
def test_a_base_that_is_not_there(shock: ShockClient, base_id: str) -> None:
    top = foreign(shock, "l/top:1", "3", base_image_id=base_id, base_image_tag="l/low:1")
    which = f"l/low:1 (image {base_id})" if base_id else "l/low:1"
    with pytest.raises(ShockError) as caught:
        read_chain(shock, top)
    assert str(caught.value) == (
        f"l/top:1 is a thin image built on {which}, and the embedded Shock has no such image that you may read. "
        "Publish that image "
        "again, or l/top:1 whole."
    )


def test_images_that_others_made_thin_on_one_another(shock: ShockClient) -> None:
    foreign(shock, "l/a:1", "1", base_image_id="2", base_image_tag="l/b:1")
    b = foreign(shock, "l/b:1", "2", base_image_id="1", base_image_tag="l/a:1")
    with pytest.raises(ShockError) as caught:
        read_chain(shock, b)
    assert str(caught.value) == (
        "images of the embedded Shock are each other's base images in a circle: l/b:1 -> l/a:1 -> l/b:1"
    )


@pytest.mark.slow
def test_a_chain_without_end(shock: ShockClient) -> None:
    for number in range(MAX_CHAIN + 2):
        top = foreign(
            shock, f"l/i:{number}", f"{number}", base_image_id=f"{number - 1}", base_image_tag=f"l/i:{number - 1}"
        )
    with pytest.raises(
        ShockError, match=f"is a thin image built on more than {MAX_CHAIN} images, which no engine can load"
    ):
        read_chain(shock, top)


def test_an_attribute_that_is_no_text_is_no_base(shock: ShockClient) -> None:
    node = foreign(shock, "l/a:1", "1")
    changed = shock.replace_attributes(
        node.id, {**(node.attributes or {}), "base_image_id": 7, "base_image_tag": ["x"]}
    )
    assert read_chain(shock, changed) == [changed]


def test_a_record_that_does_not_tell_the_layers() -> None:
    with pytest.raises(
        SkyportError, match=r"the build record lacks the layers of its base\. Run `skyport-wf build` again"
    ):
        assert build_record(thin_on=ThinBase(BASE)).left_out
    assert build_record(thin_on=on()).left_out == (LAYER,)
    assert build_record().left_out == ()


def test_the_attributes_of_a_thin_image_come_back_as_they_were() -> None:
    attributes = describe_image(build_record(thin_on=on()), saved_archive(), registered="2024-02-03T04:05:06Z")
    assert read_attributes(json.loads(msgspec.json.encode(to_json_values(attributes)))) == attributes
