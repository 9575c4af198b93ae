"""One image under two names: the server copies the file, and who loads it finds the image."""

import gzip
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.errors import ShockError
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server

OLD, NEW = "lab/tool:1.0", "lab/again:2"
IMAGE = Image((layer_tar({"file": b"a tool"}),), {"org.example.who": "lab"})


class People:
    """A served store with two users."""

    def __init__(self, store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch
        self.tokens: dict[str, str] = {}
        self.url = ""
        self.files = store / "files"

    def be(self, user: str) -> None:
        self._monkeypatch.setenv("KB_AUTH_TOKEN", self.tokens[user])
        self.client = ShockClient(self.url, token=self.tokens[user])

    def do(self, *arguments: str, code: int = 0) -> Any:
        self._capsys.readouterr()
        found = main([*arguments, "--json"])
        told = self._capsys.readouterr()
        assert found == code, told
        return json.loads(told.out) if code or arguments[0] != "publish" else json.loads(told.out)["published"][0]

    def stored(self) -> int:
        """Return how many files the store has."""
        return sum(path.is_file() for path in self.files.rglob("*"))


@pytest.fixture
def people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[People]:
    monkeypatch.chdir(tmp_path)
    found = People(tmp_path / "store", capsys, monkeypatch)
    with open_store(tmp_path / "store") as store:
        found.tokens = {name: add_user(store.database, name) for name in ("anna", "ben")}
        with running_server(ShockApp(store)) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            found.url = server.url
            found.be("anna")
            yield found


def listed(name: str) -> None:
    Path("image.tar").write_bytes(canonical(IMAGE, name))
    Path("images.yaml").write_text(f"images: [{{name: '{name}', archive: image.tar}}]\n")


STEPS = (
    ("build", NEW, "--record", "build.json"),
    ("save", "build.json", "--archive", "image.tar.gz", "--record", "save.json"),
    ("upload", "save.json", "--record", "upload.json"),
    ("register", "upload.json", "--record", "receipt.json"),
)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["tag", "publish", "steps"])
def test_nothing_is_sent_and_the_receipt_tells_the_archives_name(
    people: People, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(OLD)
    first = people.do("publish", OLD)
    stored = people.stored()
    if way == "tag":
        assert people.do("tag", OLD, NEW, "-n") == {"dry_run": {"name": OLD, "new_name": NEW}}
        assert people.do("resolve", NEW, code=1)
        receipt = people.do("tag", OLD, NEW)
    else:
        listed(NEW)
        commands = STEPS if way == "steps" else [("publish", NEW)]
        receipt = [people.do(*command) for command in commands][-1]
    assert people.stored() == stored
    assert receipt["node"] != first["node"]
    for same in ("image_id", "md5", "size", "layers", "stored_layers", "archive_sha256"):
        assert receipt[same] == first[same]
    assert receipt["name"] == NEW
    assert receipt["use"]["awe"] == {"Dockerimage": NEW}
    assert receipt["use"]["cwl"]["DockerRequirement"]["dockerImageId"] == OLD
    assert receipt["canonical"] is False
    for name in (OLD, NEW, "lab/again"):
        assert people.do("resolve", name)["image_id"] == IMAGE.image_id
    Path("images.yaml").unlink()
    assert people.do("verify", "--deep")["images"]
    # What is done is done.
    assert people.do("tag", OLD, NEW) == receipt
    assert main(["tag", OLD, NEW, "-n"]) == 0
    assert capsys.readouterr().out == f"{NEW} is published, as {OLD} is: nothing would be done\n"
    third = people.do("tag", NEW, "lab/third:3")
    assert third["use"]["cwl"]["DockerRequirement"]["dockerImageId"] == OLD
    # The first name may go, and back under it the archive has its own name.
    assert main(["retire", OLD]) == 0
    assert people.do("resolve", NEW)["node"] == receipt["node"]
    back = people.do("tag", NEW, OLD)
    assert back["use"]["cwl"]["DockerRequirement"]["dockerImageId"] == OLD


def test_a_tag_that_stops_latest_is_warned_of(people: People, capsys: pytest.CaptureFixture[str]) -> None:
    many = "lab/tool:20240101123456789012"
    warning = f"the number in the tag of {many} has more than 64 bits: while it is published, AWE workers fail on"
    listed(many)
    assert main(["publish", many]) == 0
    assert warning in capsys.readouterr().err
    # It is there: who calls again knows.
    assert main(["publish", many]) == 0
    assert warning not in capsys.readouterr().err
    for name, is_told in ((NEW, False), (f"{many}3", True)):
        assert main(["tag", many, name]) == 0
        assert ("more than 64 bits" in capsys.readouterr().err) == is_told


def test_what_is_there_and_has_lost_its_file_is_not_published(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (OLD, NEW):
        listed(name)
        node = people.do("publish", name)["node"]
    for command in STEPS[:3]:
        people.do(*command)
    to_embedded = ("copy", NEW, "--to", "embedded")
    people.do(*to_embedded)
    stores = (people.files, Path(os.environ["SKYPORT_DATA"]) / "files")
    for path in (path for files in stores for path in files.rglob("*") if path.is_file()):
        path.unlink()
    for command in (("publish", NEW), *STEPS[2:], ("tag", OLD, NEW), to_embedded):
        error = people.do(*command, code=1)["error"]
        assert error.startswith(f"{NEW} is published already, and cannot be read: "), command
        assert (f"`skyport-wf retire {NEW} --node {node}`" in error) == (command != to_embedded)
    (problem,) = people.do("resolve", NEW, code=3)["problems"]
    assert problem.startswith("its file cannot be read: ")
    mend = f"`skyport-wf retire --node {node}`, and publishing it again, mends it"
    for command in ("resolve", "receipt"):
        main([command, NEW])
        told = capsys.readouterr()
        assert mend in told.out + told.err
    # The advice helps.
    assert main(["retire", NEW, "--node", node]) == 0
    assert "cannot have its name back: " in people.do("retire", "--undo", NEW, "--dry-run", code=1)["error"]
    assert people.do("publish", NEW)["node"] != node


@pytest.mark.slow
@pytest.mark.parametrize("is_known_before", [False, True])
def test_where_there_is_nothing_to_send_no_interrupted_upload_is_remembered(
    people: People, is_known_before: bool
) -> None:
    listed(NEW)
    steps = [*STEPS[:2]]
    steps.insert(0 if is_known_before else 2, ("publish", NEW))
    for command in steps:
        people.do(*command)
    Path("upload.json.progress").write_text("of an earlier run")
    people.do(*STEPS[2])
    assert not Path("upload.json.progress").exists()


@pytest.mark.slow
def test_another_users_upload_is_not_registered_and_nothing_is_given_back(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(NEW)
    for command in STEPS[:-1]:
        people.do(*command)
    people.be("ben")
    capsys.readouterr()
    assert main(STEPS[-1]) == 1
    assert "given back" not in capsys.readouterr().err
    assert people.client.query({"type": "dockerimage"}) == []


@pytest.mark.slow
def test_who_may_read_it_is_the_same(people: People) -> None:
    listed(OLD)
    people.do("publish", OLD, "--private")
    assert people.do("tag", OLD, NEW)["readable_by"] == "listed users"
    as_ben(people, "resolve", NEW, code=1)


@pytest.mark.slow
@pytest.mark.parametrize("is_private", [True, False])
def test_who_may_read_the_image_that_has_the_name_already_is_not_changed(
    people: People, capsys: pytest.CaptureFixture[str], is_private: bool
) -> None:
    listed(OLD)
    people.do("publish", OLD, *["--private"] * is_private)
    listed(NEW)
    there = people.do("publish", NEW, *["--private"] * (not is_private))
    for dry in (["-n"], []):
        assert main(["tag", OLD, NEW, "--json", *dry]) == 0
        told = capsys.readouterr()
        assert json.loads(told.out) == there
        readers, others = there["readable_by"], "listed users" if is_private else "everyone"
        assert f"stays as it is, readable by {readers}; {OLD} is readable by {others}\n" in told.err
    assert people.client.read_access(there["node"]).public.read == is_private


@pytest.mark.slow
@pytest.mark.parametrize("way", ["tag", "adopt"])
def test_listed_readers_stay_readers(people: People, way: str) -> None:
    if way == "tag":
        listed(OLD)
        people.do("publish", OLD, "--private")
    else:
        told = {"type": "dockerimage", "name": OLD, "id": "x"}
        people.client.create(lambda: [canonical(IMAGE, OLD)], file_name="image.tar", attributes=told, expiration="1D")
    (node,) = people.client.query({"type": "dockerimage"})
    people.client._ask("PUT", f"/node/{node.id}/acl/read?users=ben")
    readers = people.client.read_access(node.id).read
    made = people.do("tag", OLD, NEW)["node"] if way == "tag" else people.do("adopt", OLD)["node"]
    assert made != node.id
    assert people.client.read_access(made).read == readers
    assert not people.client.read_access(made).public.read
    assert as_ben(people, "resolve", NEW if way == "tag" else OLD)["node"] == made


@pytest.mark.slow
@pytest.mark.parametrize("is_private", [True, False])
@pytest.mark.parametrize("way", ["publish", "copy"])
def test_listed_readers_of_a_replaced_image_read_a_private_one_in_its_place(
    people: People, monkeypatch: pytest.MonkeyPatch, way: str, is_private: bool
) -> None:
    listed(OLD)
    old = people.do("publish", OLD, "--private")["node"]
    people.client._ask("PUT", f"/node/{old}/acl/read?users=ben")
    readers = people.client.read_access(old).read
    Path("image.tar").write_bytes(canonical(Image((layer_tar({"x": b"other"}),)), OLD))
    private = ["--private"] * is_private
    if way == "publish":
        Path("images.yaml").write_text(f"images: [{{name: '{OLD}', archive: image.tar, replace: true}}]\n")
        made = people.do("publish", OLD, *private)["node"]
    else:
        monkeypatch.setenv("SHOCK_URL", "embedded")
        people.do("publish", OLD)
        people.do("copy", OLD, "--to", people.url, "--to-token-env", "KB_AUTH_TOKEN", "--replace", *private)
        monkeypatch.setenv("SHOCK_URL", people.url)
        made = people.do("resolve", OLD)["node"]
    access = people.client.read_access(made)
    assert made != old
    assert access.public.read != is_private
    # Of what everyone may read, there is no list to keep.
    assert (access.read == readers) == is_private
    assert as_ben(people, "resolve", OLD)["node"] == made


@pytest.mark.slow
def test_adopting_does_not_forget_where_an_image_came_from(people: People) -> None:
    listed(OLD)
    people.do("publish", OLD)
    tagged = people.do("tag", OLD, NEW)
    assert people.do("adopt", NEW)["changes"] == []
    renamed = people.do("adopt", NEW, "--as", "lab/third:3")
    assert renamed["node"] == tagged["node"]
    assert people.do("receipt", "lab/third:3")["use"]["cwl"]["DockerRequirement"]["dockerImageId"] == OLD
    # Back under the name in its file, nothing else has to be told.
    people.do("retire", OLD)
    assert people.do("adopt", "lab/third:3", "--as", OLD)["node"] == tagged["node"]
    (node,) = people.client.query({"type": "dockerimage"})
    own = (node.attributes or {})["skyport_wf"]
    assert own["archive_name"] == ""
    # A file with a name that the node does not tell is sent anew, and the new node says the same of its source.
    own |= {
        "description": "of the lab",
        "source": {**own["source"], "kind": "dockerfile", "digest": f"sha256:{'1' * 64}"},
    }
    odd = people.client.create(
        lambda: [gzip.compress(canonical(IMAGE, "lab/else:1"))], file_name="a", attributes=node.attributes or {},
        expiration="1D",
    )  # fmt: skip
    people.client.delete(node.id)
    made = people.client.find(people.do("adopt", OLD)["node"])
    assert made
    assert made.id != odd.id
    now = (made.attributes or {})["skyport_wf"]
    assert [now[key] for key in ("source", "description", "base")] == [
        own[key] for key in ("source", "description", "base")
    ]
    assert now["archive"]["size"] == made.file.size


@pytest.mark.slow
def test_the_name_stays_where_it_is_if_its_readers_would_lose_it(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"type": "dockerimage", "name": OLD, "id": "x"}
    people.client.create(lambda: [canonical(IMAGE, OLD)], file_name="image.tar", attributes=told, expiration="1D")
    (node,) = people.client.query({"type": "dockerimage"})
    people.client._ask("PUT", f"/node/{node.id}/acl/read?users=ben")

    def refuse(*_: Any) -> None:
        raise ShockError("the server refuses")

    monkeypatch.setattr(ShockClient, "add_readers", refuse)
    error = people.do("adopt", OLD, code=1)["error"]
    assert f"cannot be read by those whom node {node.id} lists: the server refuses" in error
    assert [one.id for one in people.client.query({"type": "dockerimage"})] == [node.id]


@pytest.mark.slow
def test_a_name_that_is_taken_or_impossible(people: People) -> None:
    listed(OLD)
    people.do("publish", OLD)
    Path("image.tar").write_bytes(canonical(Image((layer_tar({"x": b"other"}),)), NEW))
    Path("images.yaml").write_text(f"images: [{{name: '{NEW}', archive: image.tar}}]\n")
    people.do("publish", NEW)
    refused = people.do("tag", OLD, NEW, code=1)["error"]
    assert "is published already, as another image" in refused
    # There is no image list, in which something could be set.
    assert refused.endswith(
        "choose another tag, or retire the image that is there (skyport-wf retire), if nobody needs it any more."
    )
    for name in ("lab/tool", "lab/tool:latest", "Lab/tool:1"):
        people.do("tag", OLD, name, code=2)
    assert len(people.client.query({"type": "dockerimage*"})) == 2


@pytest.mark.slow
def test_a_copy_that_was_to_be_private_and_is_there_for_everyone_is_told(
    people: People, capsys: pytest.CaptureFixture[str]
) -> None:
    listed(OLD)
    there = people.do("publish", OLD)
    command = ["copy", OLD, "--to", people.url, "--to-token-env", "KB_AUTH_TOKEN"]
    for options, is_told in ((["--private"], True), (["--private", "-n"], True), ([], False)):
        assert main([*command, *options]) == 0
        told = f"{OLD} is on {people.url} already (node {there['node']}) and stays as it is, readable by everyone"
        assert (told in capsys.readouterr().err) == is_told
    assert people.client.read_access(there["node"]).public.read


PATTERN = r"^'.*' stands for all images that fit it"
QUESTION = r"^'.*' is not the name of an image: Shock takes it for all others\."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("l*", PATTERN), ("lab/tool:*", PATTERN), ("lab/too?:1.0", PATTERN), ("!lab/none", QUESTION),
        ("!lab/none:1", QUESTION), (":1.0", "^':1.0' names no image"), ("", "^'' names no image|^name the image"),
    ],
)  # fmt: skip
def test_what_is_no_name_is_refused_where_one_image_is_meant(people: People, asked: str, told: str) -> None:
    listed(OLD)
    people.do("publish", OLD)
    people.do("tag", OLD, "lab/other:1.0")
    for arguments in (
        ("tag", asked, NEW), ("show", asked), ("files", asked), ("receipt", asked), ("diff", OLD, asked),
        ("pull", asked, "--output", "one.tar"),
    ):  # fmt: skip
        error = people.do(*arguments, code=2)["error"]
        assert re.search(told, error), error
    assert not Path("one.tar").exists()
    assert len(people.client.query({"type": "dockerimage*"})) == 2


@pytest.mark.slow
def test_an_empty_name_means_nothing_where_several_are_meant(people: People) -> None:
    """As of a variable that is not set: it would fit the nodes of other tools that have no name."""
    listed(OLD)
    people.do("publish", OLD)
    attributes = {"type": "dockerimage-retired", "name": "", "id": "sha256:" + "1" * 64}
    nameless = people.client.create_empty(attributes=attributes, expiration="1D")
    for arguments in (
        ("delete", "", "--remove"), ("retire", ""), ("retire", "--undo", ""), ("ls", ""), ("du", ""), ("status", ""),
        ("copy", "", "--to", "embedded"), ("adopt", ""), ("find", "", "--package", "x"), ("verify", ""),
        ("publish", OLD, ""),
    ):  # fmt: skip
        assert people.do(*arguments, code=2)["error"].startswith("'' names no image."), arguments
    found = people.client.find(nameless.id)
    assert found and found.attributes == nameless.attributes


@pytest.mark.slow
def test_resolve_says_what_awe_does_with_a_pattern(people: People) -> None:
    listed(OLD)
    people.do("publish", OLD)
    assert people.do("resolve", "lab/tool:*")["name"] == OLD
    people.do("tag", OLD, "lab/tool:2.0")
    assert people.do("resolve", "lab/tool:*", code=1)["error"].endswith(
        "2 nodes fit it, and it takes exactly one. Name one image."
    )
    negated = people.do("resolve", "!lab/none:1", code=1)["error"]
    assert negated.endswith("2 nodes fit it, and it takes exactly one. Name one image.")
    # As of a variable that is not set: a worker would get any image.
    for empty in ("", ":", ":latest"):
        assert people.do("resolve", empty, code=2)["error"].startswith(f"{empty!r} names no image.")


@pytest.mark.slow
def test_another_users_file_is_not_trusted(people: People) -> None:
    """He lets everyone write his node and says that it is our image; its file is another."""
    listed(OLD)
    people.do("publish", OLD)
    for dry in ([], ["-n"]):
        assert "it is another user's" in as_ben(people, "tag", OLD, NEW, *dry, code=1)["error"]
    people.be("anna")
    trap = forge(people)
    listed(NEW)
    receipt = people.do("publish", NEW)
    assert receipt["md5"] != trap["md5"]
    assert receipt["use"]["cwl"]["DockerRequirement"]["dockerImageId"] == NEW


@pytest.mark.slow
def test_an_image_that_was_given_away(people: People) -> None:
    """Its new owner hears who may still write to it, and what ends that."""
    listed(OLD)
    node = people.do("publish", OLD)["node"]
    people.client._ask("PUT", f"/node/{node}/acl/owner?users=ben")
    assert "is published by another user" in people.do("retire", OLD, code=1)["error"]
    assert "it is another user's" in people.do("tag", OLD, NEW, code=1)["error"]
    for dry in ([], ["-n"]):
        told = as_ben(people, "tag", OLD, NEW, *dry, code=1)["error"]
        assert "others may change it, too" in told and "another user's" not in told
    ends = re.findall(r"`(DELETE) (\S+)`", told)
    assert [path.partition("=")[0] for _, path in ends] == [f"/node/{node}/acl/all?users"]
    for method, path in ends:
        people.client._ask(method, path)
    assert as_ben(people, "tag", OLD, NEW)["name"] == NEW
    for right in ("write", "delete"):
        people.client._ask("PUT", f"/node/{node}/acl/public_{right}")
        told = as_ben(people, "tag", OLD, "lab/third:3", code=1)["error"]
        assert f"`DELETE /node/{node}/acl/public_{right}`" in told
    as_ben(people, "retire", OLD)
    assert [found.id for found in people.client.query({"type": "dockerimage-retired"})] == [node]


@pytest.mark.slow
def test_a_dry_run_promises_nothing_of_a_file_that_is_gone(
    shock: ShockClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    listed(OLD)
    assert main(["publish", OLD]) == 0
    (file,) = [path for path in Path(os.environ["SKYPORT_DATA"], "files").rglob("*") if path.is_file()]
    file.unlink()
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    with (
        open_store(tmp_path / "there") as store,
        running_server(ShockApp(store, anonymous=frozenset({"read", "write"}))) as there,
    ):
        for command in (["tag", OLD, NEW], ["copy", OLD, "--to", there.url]):
            for dry in ([], ["-n"]):
                capsys.readouterr()
                assert main([*command, *dry]) == 1
                assert "is damaged: the file is missing" in "".join(capsys.readouterr())


@pytest.mark.slow
def test_the_servers_own_words_say_why_it_does_not_copy(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    listed(OLD)
    node = people.do("publish", OLD)["node"]

    def refuse(*_: Any, **__: Any) -> None:
        raise ShockError("the disk is full")

    monkeypatch.setattr(ShockClient, "create_copy", refuse)
    told = people.do("tag", OLD, NEW, code=1)["error"]
    assert told == f"node {node}, which has {OLD}, cannot be copied: the disk is full"

    def make_empty(client: ShockClient, _: str, *, file_name: str, **made: Any) -> Any:
        return client.create_empty(**made)

    # As an old server does.
    monkeypatch.setattr(ShockClient, "create_copy", make_empty)
    told = people.do("tag", OLD, NEW, code=1)["error"]
    assert told.endswith(f"Else pull the image (skyport-wf pull {OLD}), and publish it as {NEW}.")
    assert [one.id for one in people.client.query({"type": "dockerimage*"})] == [node]


def as_ben(people: People, *arguments: str, code: int = 0) -> Any:
    people.be("ben")
    return people.do(*arguments, code=code)


def forge(people: People) -> dict[str, Any]:
    """Let another user say of a file that it is our image, in the place of ours, and let us read and write it."""
    (mine,) = people.client.query({"type": "dockerimage", "name": OLD})
    attributes: Any = mine.attributes
    people.client.delete(mine.id)
    people.be("ben")
    content = b"\x1f\x8b a file of another kind"
    node = people.client.create(lambda: [content], file_name="a", attributes={}, expiration="1D")
    told = {"size": node.file.size, "md5": node.file.checksum.md5}
    attributes["skyport_wf"]["archive"].update(told)
    people.client.replace_attributes(node.id, attributes)
    for right in ("read", "write", "delete"):
        people.client._ask("PUT", f"/node/{node.id}/acl/public_{right}")
        people.client._ask("PUT", f"/node/{node.id}/acl/{right}?users=anna")
    people.be("anna")
    return told
