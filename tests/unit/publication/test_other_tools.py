"""Nodes as docker2shock.pl made them: what is said of them everywhere, and how they are mended."""

import gzip
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.formatting import terminal_text
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from skyport_wf.publication.attributes import PACKAGES_KEY, RETIRED_TYPE
from skyport_wf.publication.package_lists import listed_packages
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.transfer import adopt
from tests.support.docker_archives import Image, canonical, file_member, layer_tar, legacy, tar_of
from tests.support.failing_server import FailingServer, refusal
from tests.support.own_server import running_server

IMAGE = Image((layer_tar({"bin/bash": b"x", "tool": b"a tool"}),))
BARE = IMAGE.image_id.removeprefix("sha256:")
NAME = "skyport/old:1.0"
DOCKERFILE = "RlJPTSBkZWJpYW4K"


def archive(image: Image = IMAGE, name: str = NAME) -> bytes:
    return tar_of(legacy(image, tags=[name]))


def put(shock: ShockClient, name: str = NAME, *, file: bytes | None = None, **attributes: Any) -> Node:
    """Make a node as that tool did, for everyone to read; attributes that are None are left out."""
    told = {
        "type": "dockerimage", "name": name, "id": BARE, "docker_version": {"Version": "1.12.1"}, "base_image_tag": "",
        "base_image_id": "", "dockerfile": DOCKERFILE, **attributes,
    }  # fmt: skip
    told = {key: value for key, value in told.items() if value is not None}
    content = gzip.compress(archive(name=name)) if file is None else file
    node = shock.create(lambda: [content], file_name="image.tar", attributes=told, expiration="1D")
    shock.set_public(node.id, True)
    return shock.keep(node.id)


def right(name: str = NAME) -> dict[str, str]:
    """Return the attributes that make a node right."""
    repository, _, tag = name.partition(":")
    return {"repository": repository, "tag": tag, "id": IMAGE.image_id}


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Any:
    """Return what runs the command line, and gives its exit code and all that it says."""

    def run(*arguments: str) -> tuple[int, str]:
        code = main(arguments)
        told = capsys.readouterr()
        return code, told.out + told.err

    return run


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose list has the very image, as an archive."""
    (tmp_path / "image.tar").write_bytes(archive())
    (tmp_path / "images.yaml").write_text(f"images:\n- {{name: '{NAME}', archive: image.tar}}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


NO_ID = "its `id` lacks `sha256:`"
NO_REPOSITORY = "its attribute `repository` is missing"


def test_it_is_said_what_is_wrong_and_what_a_worker_does(shock: ShockClient, said: Any, listed: Path) -> None:
    node = put(shock)
    for command, code in (
        (["ls"], 0),
        (["ls", "skyport/old"], 0),
        (["ls", "skyport/*"], 0),
        (["resolve", NAME], 3),
        (["resolve", "skyport/old"], 1),
        (["status"], 3),
        (["show", NAME], 0),
        (["receipt", NAME, "--lock", "images.lock.json"], 0),
        (["verify"], 3),
    ):
        found, text = said(*command)
        assert found == code, text
        assert NO_REPOSITORY in text or command in (["status"], ["verify"])
        assert NO_ID in text
        assert node.id in text or command[0] in ("show", "verify")
        assert "skyport-wf adopt skyport/old:1.0" in text or command[0] in ("ls", "show")
    assert json.loads(said("ls", "--json")[1])["images"][0]["state"] == "broken"


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"id": None}, "its attribute `id` is missing, on which a worker's work unit fails"),
        ({"id": "busybox"}, "its `id` is none that an engine has"),
        ({"id": 12}, "its attribute `id` is missing"),
        ({"name": "skyport/old:latest"}, "its name has the tag `latest`: who asks for that gets the highest tag"),
        ({"name": "skyport/old"}, "its name has no tag: who asks for that"),
        ({"name": "Skyport/Old:1"}, "a worker loads it and cannot tag it: image name 'Skyport/Old:1'"),
        ({"name": "host:5000/old:1"}, "its name has more than one colon"),
        ({"name": None}, "it has no name"),
        ({"name": ["skyport/old:1"]}, "its attribute `name` is a list"),
        ({"type": ["x", "dockerimage"]}, "its attribute `type` is a list"),
        ({"repository": "skyport/old"}, "its attribute `tag` is missing, on which every work unit that asks for"),
        ({"repository": "skyport/new", "tag": "1.0"}, "say skyport/new:1.0, and who asks for that repository gets it"),
    ],
)
def test_each_way_to_be_wrong(shock: ShockClient, said: Any, attributes: dict[str, Any], words: str) -> None:
    put(shock, **{"id": IMAGE.image_id, **attributes})
    code, text = said("ls")
    assert code == 0
    assert words in text


def test_a_plain_tar_is_told_by_its_first_bytes(shock: ShockClient, said: Any, listed: Path) -> None:
    put(shock, file=archive(), **right())
    for command in (["resolve", NAME], ["status"]):
        code, text = said(*command)
        assert code == 3
        assert "its file is not gzip, so that a worker crashes when it loads it" in text


def test_a_file_that_the_store_has_lost(shock: ShockClient, said: Any, listed: Path) -> None:
    put(shock, **right())
    for path in (Path(os.environ["SKYPORT_DATA"]) / "files").rglob("*"):
        if path.is_file():
            path.unlink()
    for command, code in ((["status"], 3), (["resolve", NAME], 3), (["ls"], 0), (["adopt", NAME], 1)):
        found, text = said(*command)
        assert found == code
        assert "its file cannot be read" in text or command[0] in ("ls", "adopt")


def test_an_empty_file_is_no_image(shock: ShockClient, said: Any, listed: Path) -> None:
    node = put(shock, file=b"", **right())
    assert f"{NAME}  broken" in said("ls")[1]
    told = "its file is empty, so that a worker crashes when it loads it"
    advice = f"`skyport-wf retire --node {node.id}`, and publishing it again, mends it."
    Path("there.tgz").touch()
    for command, code in (
        (["resolve", NAME], 3),
        (["adopt", NAME], 1),
        (["copy", NAME, "--to", "http://shock.test", "-n"], 1),
        (["pull", NAME, "--output", "image.tgz"], 1),
        (["pull", NAME, "--output", "there.tgz"], 1),
    ):
        found, text = said(*command)
        assert found == code, text
        assert told in text and advice in text
        assert "adopt" not in text
    assert not Path("image.tgz").exists()
    for command in (["status"], ["publish", NAME]):
        text = said(*command)[1]
        assert f"published on node {node.id}, whose file is empty. Retire it (skyport-wf retire {NAME})" in text
    assert said("retire", "--node", node.id)[0] == 0
    assert said("publish", NAME)[0] == 0


def test_one_that_workers_can_run_is_published(shock: ShockClient, said: Any, listed: Path) -> None:
    """By its name, that is: only who asks for the repository misses it."""
    put(shock, id=IMAGE.image_id)
    code, text = said("status")
    assert code == 0
    assert NO_REPOSITORY in text
    assert said("publish", NAME)[0] == 0
    assert len(shock.query({"type": "dockerimage"})) == 1


def test_the_very_same_image_is_the_same(shock: ShockClient, said: Any, listed: Path) -> None:
    node = put(shock)
    for command in (["publish", NAME], ["publish", NAME, "--dry-run"]):
        code, text = said(*command)
        assert code == 1
        assert f"{NAME} is on node {node.id}, but no AWE worker can run it" in text
        assert "another image" not in text
    put(shock, name="skyport/other:1.0", id="1" * 64)
    (listed / "images.yaml").write_text("images:\n- {name: 'skyport/other:1.0', archive: image.tar}\n")
    assert "is published already, as another image" in said("publish", "--all")[1]


def test_a_receipt_that_has_its_id_as_it_was_is_of_the_very_same_image(
    shock: ShockClient, said: Any, listed: Path
) -> None:
    put(shock)
    assert said("receipt", NAME, "--record", "receipt.json", "--lock", "images.lock.json")[0] == 0
    assert BARE in (listed / "images.lock.json").read_text()
    code, text = said("sbom", "receipt.json", "--record", "packages.json")
    assert (code, "has image" in text) == (0, False), text
    assert "lock file says" not in said("verify")[1]
    assert said("adopt", NAME)[0] == 0
    assert said("verify")[0] == 0
    assert said("receipt", NAME, "--locked", "images.lock.json")[0] == 0
    assert said("sbom", "receipt.json", "--record", "packages.json")[0] == 0


def test_a_broken_one_may_be_replaced(shock: ShockClient, said: Any, listed: Path) -> None:
    node = put(shock)
    (listed / "images.yaml").write_text(f"images:\n- {{name: '{NAME}', archive: image.tar, replace: true}}\n")
    assert said("publish", NAME)[0] == 0
    assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id]
    assert said("resolve", NAME)[0] == 0


@pytest.mark.parametrize("name", ["skyport/old:latest", "skyport/old", "Skyport/Old:1", "host:5000/old:1"])
def test_any_name_can_be_retired(shock: ShockClient, said: Any, name: str) -> None:
    node = put(shock, name)
    assert said("retire", name)[0] == 0
    assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id]


@pytest.mark.parametrize("attributes", [{"name": None}, {"name": 5}, {"docker_version": 7}, {"id": [1]}])
def test_a_node_of_which_nothing_is_right_is_retired_by_its_id(
    shock: ShockClient, said: Any, attributes: dict[str, Any]
) -> None:
    node = put(shock, **attributes)
    assert said("retire", "--node", node.id, "-n")[0] == 0
    assert shock.query({"type": RETIRED_TYPE}) == []
    assert said("retire", "--node", node.id)[0] == 0
    assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id]
    assert said("retire", "--node", node.id)[0] == 1
    assert said("retire")[0] == 2
    assert said("delete", "--node", node.id, "--remove")[0] == 0
    assert shock.find(node.id) is None


@pytest.mark.parametrize(
    ("attributes", "exit_code"), [({"docker_version": 7}, 0), ({"name": None}, 1), ({"id": [1]}, 1)]
)
def test_a_node_that_was_retired_by_its_id_gets_its_name_back_if_it_had_one(
    shock: ShockClient, said: Any, attributes: dict[str, Any], exit_code: int
) -> None:
    node = put(shock, **attributes)
    assert said("retire", "--node", node.id)[0] == 0
    assert said("retire", "--undo", "--node", node.id)[0] == exit_code
    assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id][:exit_code]


def test_one_of_several_nodes_of_a_name_is_retired_by_its_id_only(shock: ShockClient, said: Any) -> None:
    first, second = put(shock), put(shock)
    code, text = said("retire", NAME)
    assert code == 1
    assert all(word in text for word in (first.id, second.id, "--node")), text
    assert [shock.find(node.id) for node in (first, second)] == [first, second]
    assert said("retire", NAME, "--node", first.id)[0] == 0
    assert [node.id for node in shock.query({"type": "dockerimage"})] == [second.id]


@pytest.mark.slow
@pytest.mark.parametrize(
    "odd", [{"type": ["dockerimage"]}, {"name": [NAME]}, {"type": ["dockerimage"], "name": [NAME]}]
)
def test_a_node_with_lists_is_told_of_before_anything_is_sent(
    shock: ShockClient, said: Any, listed: Path, odd: dict[str, Any]
) -> None:
    node = put(shock, **odd, **right())
    assert "damaged" in said("status")[1]
    for more in (["--dry-run"], []):
        code, text = said("publish", NAME, *more)
        assert (code, f"node {node.id} says it is the Docker image {NAME}" in text) == (1, True), text
    assert [image.id for image in shock.query({})] == [node.id]
    for patterns in ([], ["skyport/*"]):
        assert all(word in said("ls", *patterns)[1] for word in (NAME, node.id, "broken"))
    other = put(shock)
    assert f"{node.id}" in said("retire", NAME)[1]
    assert said("retire", "--node", node.id)[0] == 0
    assert [image.id for image in shock.query({"type": "dockerimage"})] == [other.id]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what has something done while `adopt` reads the node's file."""

    def arrange(act: Callable[[], object]) -> None:
        examine = adopt._examine

        def read_and_act(*arguments: Any) -> Any:
            examined = examine(*arguments)
            act()
            return examined

        monkeypatch.setattr(adopt, "_examine", read_and_act)

    return arrange


class TestAdopting:
    def test_attributes_are_completed_and_nothing_else_changes(self, shock: ShockClient, said: Any) -> None:
        node = put(shock, of_another_tool={"kept": [1, 2]})
        code, text = said("adopt", NAME, "--dry-run")
        assert code == 0
        assert f"attribute `id`: {BARE} -> {IMAGE.image_id}" in text
        assert shock.find(node.id) == node
        assert said("adopt", NAME)[0] == 0
        (mended,) = shock.query({"type": "dockerimage"})
        assert mended.id == node.id
        attributes = mended.attributes or {}
        assert attributes == {**(node.attributes or {}), **right(), PACKAGES_KEY: attributes[PACKAGES_KEY]}
        assert listed_packages(mended)
        assert not mended.expires
        assert said("resolve", "skyport/old")[0] == 0
        assert "nothing to mend" in said("adopt", NAME)[1]

    def test_a_plain_tar_becomes_gzip_in_a_new_node(self, shock: ShockClient, said: Any) -> None:
        node = put(shock, file=archive())
        assert f"its file becomes gzip, on a new node; node {node.id} is retired" in said("adopt", NAME, "-n")[1]
        assert said("adopt", NAME)[0] == 0
        (made,) = shock.query({"type": "dockerimage"})
        attributes = made.attributes or {}
        own = {key: attributes[key] for key in ("skyport_wf", PACKAGES_KEY)}
        assert attributes == {**(node.attributes or {}), **right(), **own}
        assert attributes["skyport_wf"]["archive"]["size"] == made.file.size
        assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id]
        assert shock.read_access(made.id).public.read
        with shock.download(made.id) as stream:
            assert NAME.encode() in gzip.decompress(stream.read())
        assert said("resolve", NAME)[0] == 0

    @pytest.mark.parametrize(
        "file",
        [
            gzip.compress(archive(), mtime=0) + bytes(512),
            gzip.compress(archive(), mtime=0)[:3] + b"\x08" + gzip.compress(archive(), mtime=0)[4:10]
            + b"x" * 600 + b"\0" + gzip.compress(archive(), mtime=0)[10:],
        ],
        ids=["zeros behind it", "a long name in its header"],
    )  # fmt: skip
    def test_gzip_that_docker_does_not_read_to_its_end_is_made_anew(
        self, shock: ShockClient, said: Any, file: bytes
    ) -> None:
        assert gzip.decompress(file) == archive()
        node = put(shock, file=file)
        told = f"its file becomes gzip that Docker reads to its end, on a new node; node {node.id} is retired"
        assert told in said("adopt", NAME, "-n")[1]
        assert said("adopt", NAME)[0] == 0
        (made,) = shock.query({"type": "dockerimage"})
        with shock.download(made.id) as stream:
            tar = b"".join(decompressed_strictly(stream))
        assert inspect_archive(io.BytesIO(tar)).image_id == IMAGE.image_id
        assert "nothing to mend" in said("adopt", NAME)[1]

    def test_a_damaged_file_is_left_alone(self, shock: ShockClient, said: Any) -> None:
        node = put(shock, file=gzip.compress(archive(), mtime=0)[:-4])
        code, text = said("adopt", NAME)
        assert code == 1
        assert f"the file of {NAME} (node {node.id}) breaks off before its end" in text
        assert shock.find(node.id) == node

    @pytest.mark.parametrize("name", ["skyport/old:latest", "skyport/old", "Skyport/Old:1", "host:5000/old:1"])
    @pytest.mark.parametrize("file", [None, archive()], ids=["gzip", "tar"])
    def test_under_a_name_that_awe_can_use(self, shock: ShockClient, said: Any, name: str, file: bytes | None) -> None:
        node = put(shock, name, file=file)
        code, text = said("adopt", name)
        assert code == 2
        assert f"skyport-wf adopt {name} --as REPO:TAG" in text
        assert said("adopt", name, "--as", NAME)[0] == 0
        assert said("resolve", NAME)[0] == 0
        (now,) = shock.query({"type": "dockerimage"})
        assert (now.attributes or {})["name"] == NAME
        # A CWL runner looks for the name that the file gives the image.
        with shock.download(now.id) as stream:
            assert inspect_archive(io.BytesIO(gzip.decompress(stream.read()))).repo_tags == (NAME,)
        assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id]

    @pytest.mark.parametrize("attributes", [{}, right()])
    @pytest.mark.parametrize("file", [None, archive()], ids=["gzip", "tar"])
    def test_one_that_expires_stays(
        self, shock: ShockClient, said: Any, file: bytes | None, attributes: dict[str, str]
    ) -> None:
        node = shock.expire(put(shock, file=file, **attributes).id, "1D")
        assert f"it expires at {node.expiration} -> it stays" in said("adopt", NAME, "-n")[1]
        assert shock.find(node.id) == node
        assert said("adopt", NAME)[0] == 0
        (kept,) = shock.query({"type": "dockerimage"})
        assert not kept.expires
        assert "nothing to mend" in said("adopt", NAME)[1]

    def test_the_id_is_that_of_the_archive(self, shock: ShockClient, said: Any) -> None:
        put(shock, id="1" * 64)
        assert said("adopt", NAME)[0] == 0
        assert (shock.query({"type": "dockerimage"})[0].attributes or {})["id"] == IMAGE.image_id

    def test_a_private_one_stays_private(self, shock: ShockClient, said: Any) -> None:
        for file in (None, archive()):
            node = put(shock, file=file)
            shock.set_public(node.id, False)
            assert said("adopt", NAME)[0] == 0
            (made,) = shock.query({"type": "dockerimage"})
            assert not shock.read_access(made.id).public.read
            assert said("retire", NAME)[0] == 0

    def test_refused(self, shock: ShockClient, said: Any) -> None:
        members = [(info, data) for info, data in legacy(IMAGE) if info.name != "manifest.json"]
        before = [
            put(shock, "skyport/ancient:1", file=gzip.compress(tar_of(members))),
            put(shock, "skyport/broken:1", file=gzip.compress(canonical(IMAGE)[:-3000])),
            put(shock, "skyport/none:1", file=gzip.compress(tar_of([file_member("x", b"x")]))),
            put(shock, "skyport/twice:1"),
            put(shock, "skyport/twice:1"),
            put(shock, "skyport/taken"),
            put(shock, "skyport/taken:1", **right("skyport/taken:1")),
        ]
        for arguments, words in {
            ("skyport/ancient:1",): "was written by a Docker before 1.10",
            ("skyport/broken:1",): "breaks off before its end",
            ("skyport/none:1",): "it has no manifest.json",
            ("skyport/twice:1",): "several nodes have the name skyport/twice:1",
            ("skyport/taken", "--as", "skyport/taken:1"): "skyport/taken:1 is published already",
            ("skyport/nothing:1",): "has no image skyport/nothing:1",
            ("skyport/brokn:1",): "Did you mean skyport/broken:1?",
        }.items():
            code, text = said("adopt", *arguments)
            assert code == 1
            assert words in text
        assert [shock.find(node.id) for node in before] == before

    @pytest.mark.parametrize("file", [None, archive()], ids=["gzip", "tar"])
    @pytest.mark.parametrize("new_name", [NAME, "skyport/new:1"])
    def test_what_gets_the_name_meanwhile_keeps_it(
        self, shock: ShockClient, said: Any, meanwhile: Any, file: bytes | None, new_name: str
    ) -> None:
        node, other = put(shock, file=file), {**right(new_name), "id": f"sha256:{'1' * 64}"}
        made = []

        def publish() -> None:
            if new_name == NAME:
                assert said("retire", NAME)[0] == 0
            made.append(put(shock, new_name, **other))

        meanwhile(publish)
        code, text = said("adopt", NAME, "--as", new_name)
        assert code == 1
        if new_name == NAME and file:
            assert f"node {node.id} is not {NAME} any more" in text
        else:
            assert f"{new_name} is published already" in text
            assert made[0].id in text
        assert "image list" not in text
        there = {one.id for one in shock.query({"type": "dockerimage"})}
        assert there == {made[0].id} | ({node.id} if new_name != NAME else set())

    @pytest.mark.parametrize("file", [None, archive()], ids=["gzip", "tar"])
    @pytest.mark.parametrize("new_name", [NAME, "skyport/new:1"])
    def test_one_that_is_retired_meanwhile_stays_retired(
        self, shock: ShockClient, said: Any, meanwhile: Any, file: bytes | None, new_name: str
    ) -> None:
        node = put(shock, file=file)
        meanwhile(lambda: said("retire", NAME))
        code, text = said("adopt", NAME, "--as", new_name)
        assert code == 1
        assert f"node {node.id} is not {NAME} any more" in text
        assert shock.query({"type": "dockerimage"}) == []
        assert [old.id for old in shock.query({"type": RETIRED_TYPE})] == [node.id]

    @pytest.mark.parametrize("file", [None, archive()], ids=["gzip", "tar"])
    def test_what_is_written_meanwhile_stays(
        self, shock: ShockClient, said: Any, meanwhile: Any, file: bytes | None
    ) -> None:
        node = put(shock, file=file)
        meanwhile(lambda: shock.replace_attributes(node.id, {**(node.attributes or {}), "note": "of the owner"}))
        assert said("adopt", NAME)[0] == 0
        assert [one.text("note") for one in shock.query({"type": "dockerimage"})] == ["of the owner"]

    @pytest.mark.parametrize("file", [None, archive()], ids=["gzip", "tar"])
    def test_the_base_of_thin_images_keeps_its_name(self, shock: ShockClient, said: Any, file: bytes | None) -> None:
        base = put(shock, file=file)
        put(shock, "skyport/thin:1", id="1" * 64, base_image_tag=NAME, base_image_id=BARE)
        for more in (["-n"], []):
            code, text = said("adopt", NAME, "--as", "skyport/new:1", *more)
            assert code == 1
            assert f"skyport/thin:1 is a thin image built on {NAME}, and would lack its layers" in text
        assert {node.text("name") for node in shock.query({"type": "dockerimage"})} == {NAME, "skyport/thin:1"}
        assert shock.find(base.id) == base
        assert said("adopt", NAME)[0] == 0

    def test_a_node_that_has_another_name(self, shock: ShockClient, said: Any) -> None:
        node, other = put(shock), put(shock, "skyport/other:1")
        code, text = said("adopt", NAME, "--node", other.id)
        assert code == 1
        assert f"node {other.id} does not have the name {NAME}, that has: {node.id}" in text

    def test_one_of_several_by_its_node(self, shock: ShockClient, said: Any) -> None:
        first, second = put(shock), put(shock)
        assert said("retire", NAME, "--node", first.id)[0] == 0
        assert said("adopt", NAME, "--node", second.id)[0] == 0


@pytest.mark.parametrize("name", ["skyport/old:latest", "skyport/old"])
def test_the_advice_for_a_name_that_awe_cannot_use_is_one_that_works(shock: ShockClient, said: Any, name: str) -> None:
    put(shock, name)
    code, text = said("resolve", "skyport/old")
    assert code == 1
    assert f"`skyport-wf adopt {name} --as REPO:TAG` mends it" in text


def test_what_the_owner_added_stays_when_a_second_node_of_the_image_gives_way(
    shock: ShockClient, said: Any, listed: Path
) -> None:
    assert said("publish", NAME)[0] == 0
    (node,) = shock.query({"type": "dockerimage"})
    added = {**(node.attributes or {}), "project": "P-17"}
    shock.replace_attributes(node.id, added)
    second = put(shock, id=IMAGE.image_id)
    assert said("publish", NAME)[0] == 0
    (now,) = shock.query({"type": "dockerimage"})
    added["skyport_wf"]["replaces"] = [second.id]
    assert (now.id, now.attributes) == (node.id, added)


@pytest.mark.slow
@pytest.mark.parametrize("own", [None, "text", [1], {"source": 3}, {}])
def test_a_copy_lacks_nothing(shock: ShockClient, said: Any, tmp_path: Path, own: Any) -> None:
    """But for what only this tool writes, where that makes no sense."""
    put(shock, id=IMAGE.image_id, project="P-17", skyport_wf=own)
    put(shock, "skyport/bare:1")
    with open_store(tmp_path / "there") as store:
        app = ShockApp(store, anonymous=frozenset({"read", "write"}))
        with running_server(app) as server:
            assert said("copy", NAME, "--to", server.url)[0] == 0
            (made,) = ShockClient(server.url).query({"type": "dockerimage"})
            assert (made.attributes or {}).items() >= {**right(), "project": "P-17"}.items()
            assert "skyport_wf" not in (made.attributes or {})
            code, text = said("copy", "skyport/bare:1", "--to", server.url)
            assert code == 1
            assert NO_ID in text
            assert "skyport-wf adopt skyport/bare:1" in text
            assert len(ShockClient(server.url).query({"name": "skyport/bare:1"})) == 0


@pytest.mark.parametrize("options", [[], ["--dry-run"], ["--all"]])
def test_a_copy_that_others_may_read_is_told_to_who_wants_a_private_one(
    shock: ShockClient, said: Any, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    assert said("publish", NAME)[0] == 0
    with open_store(tmp_path / "there") as store:
        monkeypatch.setenv("OTHER_TOKEN", add_user(store.database, "anna"))
        with running_server(ShockApp(store)) as server:
            names = options if "--all" in options else [NAME, *options]
            command = ["copy", *names, "--to", server.url, "--to-token-env", "OTHER_TOKEN"]
            assert "stays as it is" not in said("copy", NAME, *command[-4:])[1]
            code, text = said(*command, "--private")
            (node,) = ShockClient(server.url).query({"type": "dockerimage"})
    assert code == 0
    assert (
        f"{NAME} is on {server.url} already (node {node.id}) and stays as it is, readable by everyone; the copy would "
        "be readable by listed users"
    ) in text


def test_what_has_no_usable_name_keeps_nobody_from_the_others(
    shock: ShockClient, said: Any, listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all are meant: anybody can make such nodes."""
    assert said("publish", NAME)[0] == 0
    nameless = put(shock, name=None)
    with open_store(tmp_path / "there") as store:
        monkeypatch.setenv("OTHER_TOKEN", add_user(store.database, "anna"))
        with running_server(ShockApp(store)) as server:
            there = ["--to", server.url, "--to-token-env", "OTHER_TOKEN"]
            code, text = said("copy", "--all", *there)
            assert code == 0, text
            assert f"left out, as it has no name, so that nobody finds it: node {nameless.id}" in text
            put(shock, name="skyport/*:1")
            for command in (["copy", "--all", *there], ["copy", "skyport/*", *there], ["copy", "*", *there, "-n"]):
                code, text = said(*command)
                assert code == 1
                assert "no AWE worker can ask for an image of this name, nor could it for a copy" in text
                assert "stands for all images" not in text
            assert len(ShockClient(server.url).query({"type": "dockerimage"})) == 1
    assert f"node {nameless.id}" in said("find", "--package", "x")[1]
    assert said("retire", "*")[0] == 0
    assert [node.id for node in shock.query({"type": "dockerimage"})] == [nameless.id]


def test_the_hint_is_a_sentence_of_its_own(shock: ShockClient, said: Any) -> None:
    put(shock, repository="skyport/old")
    assert "for the whole repository. There is " in said("resolve", "skyport/old")[1]


def test_an_image_that_expires_is_not_all_right(shock: ShockClient, said: Any, listed: Path) -> None:
    """Its publisher was interrupted, say: in two days no worker finds it any more."""
    assert said("publish", NAME)[0] == 0
    (node,) = shock.query({"type": "dockerimage"})
    end = shock.expire(node.id, "2D").expiration
    for command, code in (
        (["verify"], 3), (["resolve", NAME], 0), (["receipt", NAME], 0), (["show", NAME], 0), (["ls"], 0),
    ):  # fmt: skip
        found, text = said(*command)
        assert (found, f"the server deletes it at {end}" in text) == (code, True), text
    assert json.loads(said("ls", "--json")[1])["images"][0]["state"] == "expiring"
    assert said("publish", NAME)[0] == 0
    assert said("verify")[0] == 0
    assert "deletes" not in said("receipt", NAME)[1]


def test_the_name_of_a_node_is_no_command_and_no_line_of_ours(shock: ShockClient, said: Any, listed: Path) -> None:
    """Whoever made it chose it, and the advice is there to be pasted."""
    put(shock, "skyport/old; rm -rf x", repository="skyport/old", tag="1")
    code, text = said("resolve", "skyport/old")
    assert code == 3
    assert "`skyport-wf adopt 'skyport/old; rm -rf x' --as REPO:TAG` mends it" in text
    node = put(shock, "skyport/two:1\nforged", repository="skyport/two", tag="1", id=f"{BARE}\nforged")
    for command in (["resolve", "skyport/two"], ["receipt", "skyport/two"], ["pull", "skyport/two", "--output", "x"]):
        text = said(*command)[1]
        assert "skyport/two:1" in text
        assert not any(line.startswith("forged") for line in text.splitlines())
        assert command[0] == "pull" or f"`skyport-wf retire --node {node.id}`, and publishing it under another" in text
    text = said("adopt", "skyport/old; rm -rf x")[1]
    assert "`skyport-wf adopt 'skyport/old; rm -rf x' --as REPO:TAG`" in text
    put(shock, "skyport/three:1", id=f"{BARE}\nforged\n{'x' * 100_000}")
    text = said("adopt", "skyport/three:1", "--dry-run")[1]
    assert f"  attribute `id`: {BARE}forgedxxx" in text
    assert max(map(len, text.splitlines())) < 1200


HOSTILE = "x\x1b[2J\x1b]0;title\x07\r\u202e"
"""What would clear the screen, rename the window, go back to the line's beginning, and turn what follows round."""


@pytest.mark.slow
def test_no_word_of_another_user_reaches_the_terminal_as_it_is(
    said: Any, listed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"lab/{HOSTILE}:1"
    with open_store(listed / "there") as store:
        monkeypatch.setenv("KB_AUTH_TOKEN", add_user(store.database, "alice"))
        with running_server(ShockApp(store)) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            mallory = ShockClient(server.url, token=add_user(store.database, "mallory"))
            words = {"id": f"sha256:{HOSTILE}", "base_image_tag": HOSTILE, "docker_version": {"Version": HOSTILE}}
            before = [
                put(mallory, name, **right(name)),
                put(mallory, **{**right(), **words}),
                put(mallory, f"lab/other:{HOSTILE}", repository=HOSTILE, tag=HOSTILE, **words),
            ]
            shown = set()
            for command in (
                ["ls"], ["ls", "--all", "--long"], ["ls", "--format", "tsv"], ["ls", "--format", "names"],
                ["resolve", NAME], ["resolve", name], ["show", NAME], ["show", name], ["du"], ["du", "--by", "owner"],
                ["status"], ["publish", "--all", "--dry-run"], ["find", "--package", "bash", "--all"],
                ["copy", "--all", "--to", "embedded"], ["copy", name, "--to", "embedded"],
                *([verb, "--node", node.id] for verb in ("adopt", "retire") for node in before),
                ["adopt", name], ["retire", name], ["retire", HOSTILE], ["catalogue", "--out", "pages"],
            ):  # fmt: skip
                code, text = said(*command)
                assert code in (0, 1, 2, 3), (command, text)
                assert terminal_text(text) == text, command
                if "\\x1b[2J" in text:
                    shown.add(command[0])
            assert shown >= {"ls", "resolve", "show", "status", "copy", "adopt", "retire"}
            assert [mallory.find(node.id) for node in before] == before
    pages = [path.read_bytes() for path in (listed / "pages").rglob("*.html")]
    assert pages
    assert not any(sign in page for page in pages for sign in (b"\x1b", b"\x07"))


def test_no_word_of_a_server_reaches_the_terminal_as_it_is(
    said: Any, failing_server: FailingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOCK_URL", failing_server.url)
    failing_server.answers = [refusal(400, f"refused {HOSTILE}")]
    for command in (["ls"], ["resolve", NAME], ["retire", NAME]):
        code, text = said(*command)
        assert code == 1
        assert "refused x\\x1b[2J\\x1b]0;title\\x07" in text
        assert terminal_text(text) == text
