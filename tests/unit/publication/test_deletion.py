"""`ls --all` shows every node of an image with its state; `delete` takes what nobody needs, and only one's own."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from skyport_wf.cli.main import main
from skyport_wf.errors import SkyportError, TemporaryError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication import deletion, retire
from skyport_wf.publication.attributes import CLAIM_TYPE, UPLOAD_TYPE
from skyport_wf.publication.connection import open_shock
from skyport_wf.publication.deletion import plan_deletion
from skyport_wf.publication.published import find_published
from skyport_wf.publication.retire import restore
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockConnection
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, canonical, layer_tar
from tests.support.own_server import running_server
from tests.support.timing import PATIENCE

NAME = "lab/tool:1.0"


class Shop:
    """A served store with two users, and the command line as one of them uses it."""

    def __init__(
        self, folder: Path, url: str, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, user: str = "anna"
    ) -> None:
        self.folder, self.url, self.tokens = folder, url, tokens
        self._monkeypatch = monkeypatch
        self.be(user)

    def be(self, user: str) -> None:
        self._monkeypatch.setenv("KB_AUTH_TOKEN", self.tokens[user])
        self.client = ShockClient(self.url, token=self.tokens[user] or None)

    def publish(self, content: str, name: str = NAME, *, replace: bool = False) -> str:
        """Publish an image with this content, and return its node."""
        (self.folder / "image.tar").write_bytes(canonical(Image((layer_tar({"file": content.encode()}),)), name))
        entry = f"{{name: '{name}', archive: image.tar, replace: {str(replace).lower()}}}"
        (self.folder / "images.yaml").write_text(f"images: [{entry}]\n")
        assert main(["publish", name, "--quiet"]) == 0
        (node,) = self.client.query({"type": "dockerimage", "name": name})
        return node.id

    def upload(self, age: str = "") -> str:
        """Leave an upload that nobody registers."""
        attributes = {"type": UPLOAD_TYPE, "name": NAME, "source_digest": "x"}
        return self.client.create(lambda: [b"x" * 1000], file_name="a", attributes=attributes, expiration="2D").id

    def states(self) -> dict[str, str]:
        return {image["node"]: image["state"] for image in self.said("ls", "--all")["images"]}

    def said(self, *arguments: str, code: int = 0) -> Any:
        """Run a command and return what `--json` says."""
        self._capsys.readouterr()
        found = main([*arguments, "--json"])
        told = self._capsys.readouterr()
        assert found == code, told
        return json.loads(told.out)

    def stays(self, *arguments: str) -> dict[str, str]:
        """Return why nodes would stay, by their ids."""
        plan = self.said("delete", *arguments, code=1 if "--node" in arguments else 0)
        return {node["node"]: node["refusal"] for node in plan["nodes"] if node["refusal"]}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shop]:
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "store") as store:
        tokens = {name: add_user(store.database, name) for name in ("anna", "ben")} | {"nobody": ""}
        with running_server(ShockApp(store)) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            made = Shop(tmp_path, server.url, tokens, monkeypatch)
            made._capsys = capsys
            yield made


@pytest.mark.slow
def test_every_state_is_listed(shop: Shop) -> None:
    replaced = shop.publish("1")
    published = shop.publish("2", replace=True)
    retired = shop.publish("3", "lab/gone:1")
    assert main(["retire", "lab/gone:1"]) == 0
    unfinished = shop.upload()
    expiring = shop.publish("4", "lab/cut:1")
    shop.client.expire(expiring, "1D")
    states = {
        replaced: "replaced", published: "published", retired: "retired", unfinished: "unfinished", expiring: "expiring"
    }  # fmt: skip
    assert shop.states() == states
    assert {image["node"] for image in shop.said("ls")["images"]} == {published, expiring}
    assert {image["node"] for image in shop.said("ls", "lab/gone", "*cut:?", "--all")["images"]} == {retired, expiring}
    # Claims are not images.
    shop.client.create_empty(attributes={"type": "dockerimage-claim", "name": NAME}, expiration="1H")
    assert shop.states() == states


@pytest.mark.slow
def test_retired_nodes_are_deleted_on_purpose_only(shop: Shop) -> None:
    replaced = shop.publish("1")
    size = shop.client.find(replaced).file.size  # type: ignore[union-attr]
    published = shop.publish("2", replace=True)
    plan = shop.said("delete", NAME)
    assert [node["node"] for node in plan["nodes"]] == [replaced]
    assert (plan["removed"], plan["freed"]) == (False, size)
    assert shop.client.find(replaced), "nothing is done without --remove"
    assert not shop.said("delete", NAME, "-n")["removed"]
    assert shop.said("delete", NAME, "--remove")["freed"] == size
    assert shop.client.find(replaced) is None
    assert shop.states() == {published: "published"}
    assert main(["delete"]) == 2


@pytest.mark.slow
def test_the_newest_are_kept(shop: Shop) -> None:
    first, second = shop.publish("1"), shop.publish("2", replace=True)
    shop.publish("3", replace=True)
    other = shop.publish("4", "lab/b:1")
    assert main(["retire", "lab/b:1"]) == 0
    (shop.folder / "images.lock.json").unlink()

    def chosen(*options: str) -> set[str]:
        return {node["node"] for node in shop.said("delete", "*", *options)["nodes"]}

    assert chosen() == chosen("--older", "0") == {first, second, other}
    assert chosen("--keep", "1") == {first}
    assert chosen("--keep", "2") == chosen("--older", "1d") == set()
    for wrong in (["--older", "-1"], ["--older", "1w"], ["--keep", "x"], ["--older", "9" * 30]):
        shop.said("delete", "*", *wrong, code=2)


@pytest.mark.slow
def test_what_is_published_again_stays(shop: Shop) -> None:
    """Its publisher was killed before it let the node stay."""
    node = shop.publish("1")
    shop.client.expire(node, "1D")
    assert main(["retire", NAME]) == 0
    assert main(["retire", "--undo", NAME]) == 0
    assert shop.states() == {node: "published"}


@pytest.mark.slow
def test_nothing_is_left_to_undo(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    def undone(*arguments: str, code: int = 0) -> str:
        capsys.readouterr()
        assert main(["retire", "--undo", *arguments]) == code
        told = capsys.readouterr()
        return (told.err if code else told.out).strip()

    node, other = shop.publish("1"), shop.publish("2", "lab/other:1")
    assert (
        undone(NAME) == undone(NAME, "--node", node) == undone(NAME, "-n") == f"{NAME} is published, nothing is retired"
    )
    assert undone("lab/*") == "nothing that fits lab/* is retired"
    assert "has no image that fits nobody/*" in undone("nobody/*", code=1)
    assert f"no retired image {NAME}" in undone(NAME, "--node", other, code=1)
    assert shop.said("retire", "--undo", NAME, "*/other:*")["restored"] == {NAME: []}
    assert main(["retire", "lab/other:1"]) == 0
    assert undone("*/tool:*", "*/other:*").splitlines() == [
        f"lab/other:1 is published again (node {other})", "nothing that fits */tool:* is retired"
    ]  # fmt: skip
    # Another one that has lost the name waits for it.
    assert main(["retire", NAME]) == 0
    new = shop.publish("3")
    why = f"node {new} has the name {NAME} now. Retire that first, or leave it."
    assert why in undone(NAME, code=1)
    assert why in undone(NAME, "--node", node, code=1)
    assert undone(NAME, "--node", new) == f"{NAME} is published, nothing is retired"
    assert shop.states() == {node: "retired", new: "published", other: "published"}
    # As `retire --node` does, `--undo` finds the name.
    assert main(["retire", "--node", new]) == 0
    assert undone("--node", node, "-n") == f"{NAME} would be published again (node {node})"
    assert undone("--node", node) == f"{NAME} is published again (node {node})"
    assert why.replace(new, node) in undone("--node", new, code=1)
    assert "has no image with a name on node nothing" in undone("--node", "nothing", code=1)
    assert "name the images" in undone(code=2)
    assert shop.states() == {node: "published", new: "retired", other: "published"}


@pytest.mark.slow
def test_a_server_whose_clock_is_ahead(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    node = shop.publish("1")
    assert main(["retire", NAME]) == 0

    class Behind(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) - timedelta(seconds=60)

    monkeypatch.setattr(deletion, "datetime", Behind)
    (shop.folder / "images.lock.json").unlink()
    assert [one["node"] for one in shop.said("delete", NAME)["nodes"]] == [node]
    assert shop.said("delete", NAME, "--older", "1d")["nodes"] == []


@pytest.mark.slow
def test_space_that_others_share_does_not_come_free(shop: Shop) -> None:
    first = shop.publish("1")
    assert main(["retire", NAME]) == 0
    # The server copies the file.
    assert shop.publish("1") != first
    assert shop.said("delete", "lab/*")["freed"] == 0


def test_what_was_deleted_is_said_though_nobody_tells_what_comes_free(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    retired = shop.publish("1")
    assert main(["retire", NAME]) == 0
    (shop.folder / "images.lock.json").unlink()
    ask = ShockConnection.ask

    def fail(connection: ShockConnection, method: str, path: str, **arguments: Any) -> Any:
        if "file.checksum.md5" in (arguments.get("params") or {}):
            raise TemporaryError("no answer")
        return ask(connection, method, path, **arguments)

    monkeypatch.setattr(ShockConnection, "ask", fail)
    told = shop.said("delete", NAME, "--remove")
    assert ([node["node"] for node in told["nodes"]], told["freed"]) == ([retired], None)
    assert shop.client.find(retired) is None


def test_the_id_of_a_node_may_be_in_capitals_but_not_empty(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    node = shop.publish("1")
    given = ("--node", node.upper())
    assert shop.said("adopt", NAME, *given)["node"] == node
    assert shop.said("retire", NAME, *given)["retired"] == {NAME: [node]}
    assert shop.said("retire", "--undo", *given)["restored"] == {NAME: [node]}
    assert shop.said("retire", *given)["retired"] == {NAME: [node]}
    for verb in ("adopt", "delete", "retire"):
        assert main([verb, NAME, "--node", ""]) == 2
        assert "'' is not the id of a node. Is a variable not set?" in capsys.readouterr().err
    assert [one["node"] for one in shop.said("delete", *given, "--remove", "--force")["nodes"]] == [node]


def test_what_is_published_is_not_deleted(shop: Shop) -> None:
    published = shop.publish("1")
    assert shop.said("delete", NAME)["nodes"] == []
    assert shop.stays("--node", published, "--force")[published].startswith("it is published: `skyport-wf retire")
    shop.said("delete", "--node", published, "--force", "--remove", code=1)
    assert shop.states() == {published: "published"}
    assert "has no node nothing of an image." in shop.said("delete", "--node", "nothing", code=1)["error"]
    # The node is there, and has another name.
    error = shop.said("delete", "lab/other:1", "lab/x*", "--node", published, code=1)["error"]
    assert f"has no node {published} of an image that fits lab/other:1 or lab/x*." in error
    # Who could not retire it is not advised to.
    shop.be("ben")
    assert shop.stays("--node", published, "--force") == {published: "it is another user's"}


@pytest.mark.slow
@pytest.mark.parametrize("rights", [{"read", "write"}, {"read", "write", "delete"}])
def test_who_may_not_delete_without_a_token_hears_so_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rights: set[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "open") as store:
        app = ShockApp(store, anonymous=frozenset(rights))
        with running_server(app) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            shop = Shop(tmp_path, server.url, {"anna": ""}, monkeypatch)
            shop._capsys = capsys
            node = shop.publish("1")
            assert main(["retire", NAME]) == 0
            (tmp_path / "images.lock.json").unlink()
            may = "delete" in rights
            why = {} if may else {node: f"{server.url} lets nobody delete without a token: put one into KB_AUTH_TOKEN"}
            assert shop.stays(NAME) == shop.stays(NAME, "--force") == why
            shop.said("delete", NAME, "--remove", code=0 if may else 1)
            assert (shop.client.find(node) is None) == may


@pytest.mark.slow
@pytest.mark.parametrize("deletable", [True, False])
@pytest.mark.parametrize("user", ["anna", "boss"])
def test_a_dry_run_says_of_nobodys_nodes_what_is_then_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], user: str, deletable: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store(tmp_path / "store") as store:
        tokens = {name: add_user(store.database, name, admin=name == "boss") for name in ("anna", "boss")}
        with running_server(ShockApp(store, anonymous=frozenset({"read", "write"}))) as server:
            monkeypatch.setenv("SHOCK_URL", server.url)
            shop = Shop(tmp_path, server.url, {"nobody": "", **tokens}, monkeypatch, user="nobody")
            shop._capsys = capsys
            node = shop.publish("1")
            if not deletable:
                ShockClient(server.url, token=tokens["boss"])._ask("DELETE", f"/node/{node}/acl/public_delete")
            assert main(["retire", NAME]) == 0
            (tmp_path / "images.lock.json").unlink()
            shop.be(user)
            why = f"it is nobody's, and {server.url} lets only administrators delete it, by Shock's own means"
            assert shop.stays(NAME) == ({} if deletable else {node: why})
            shop.said("delete", NAME, "--remove", code=0 if deletable else 1)
            assert (shop.client.find(node) is None) == deletable


@pytest.mark.slow
def test_what_a_lock_file_names_stays(shop: Shop) -> None:
    node = shop.publish("1")
    assert main(["retire", NAME]) == 0
    assert "lock file" in shop.stays(NAME)[node]
    refused = shop.said("delete", NAME, "--remove", code=1)
    assert (refused["error"], refused["exit_code"]) == ("1 of 1 node cannot be deleted", 1)
    assert shop.states() == {node: "retired"}
    (shop.folder / "images.lock.json").rename("other.json")
    assert shop.stays("*") == {}
    assert "lock file" in shop.stays("*", "--lock", "other.json")[node]
    # One that cannot be looked at may name any.
    (shop.folder / "images.lock.json").symlink_to("images.lock.json")
    assert "cannot read images.lock.json: Too many levels" in shop.said("delete", "*", "--remove", code=2)["error"]
    (shop.folder / "images.lock.json").unlink()
    assert len(shop.said("delete", "*", "--lock", "other.json", "--force", "--remove")["nodes"]) == 1
    assert shop.states() == {}


@pytest.mark.slow
def test_only_ones_own(shop: Shop) -> None:
    node = shop.publish("1")
    assert main(["retire", NAME]) == 0
    (shop.folder / "images.lock.json").unlink()
    for user in ("ben", "nobody"):
        shop.be(user)
        assert shop.stays(NAME) == {node: "it is another user's"}
        shop.said("delete", NAME, "--force", "--remove", code=1)
        assert shop.client.find(node)
    # Not even one that everyone may delete.
    shop.be("anna")
    for right in ("write", "delete"):
        shop.client._ask("PUT", f"/node/{node}/acl/public_{right}")
    shop.be("ben")
    shop.said("delete", NAME, "--force", "--remove", code=1)
    assert shop.client.find(node)


def test_an_upload_may_be_somebodys_work(shop: Shop) -> None:
    node = shop.upload()
    assert shop.said("delete", NAME)["nodes"] == []
    assert "less than a day old" in shop.stays(NAME, "--unfinished")[node]
    shop.said("delete", NAME, "--unfinished", "--force", "--remove")
    assert shop.states() == {}


@pytest.mark.slow
def test_of_two_nodes_that_get_a_name_back_at_once_one_has_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = []
    for content in "12":
        nodes.append(shop.publish(content))
        assert main(["retire", NAME]) == 0
    looked = threading.Barrier(2)
    met = threading.local()

    def look(*arguments: Any) -> Any:
        found = find_published(*arguments)
        if not hasattr(met, "done"):
            met.done = True
            looked.wait(PATIENCE)
        return found

    def undo(node: str) -> str:
        with open_shock(ShockSettings()) as shock:
            try:
                restore(shock, NAME, node_id=node)
            except SkyportError as error:
                return str(error)
        return node

    monkeypatch.setattr(retire, "find_published", look)
    with ThreadPoolExecutor() as pool:
        ends = list(pool.map(undo, nodes))
    (node,) = shop.client.query({"type": "dockerimage", "name": NAME})
    assert sorted(ends) == sorted([node.id, f"node {node.id} has the name {NAME} now. Retire that first, or leave it."])
    assert not shop.client.query({"type": CLAIM_TYPE})


@pytest.mark.slow
def test_the_base_of_a_thin_image_stays(shop: Shop) -> None:
    base = shop.publish("1", "lab/base:1")
    image_id = (shop.client.find(base).attributes or {})["id"]  # type: ignore[union-attr]
    thin = {
        "type": "dockerimage", "name": NAME, "repository": "lab/tool", "tag": "1.0", "id": "sha256:" + "1" * 64,
        "base_image_tag": "lab/base:1", "base_image_id": image_id,
    }  # fmt: skip
    on_it = shop.client.create(lambda: [b"x"], file_name="a", attributes=thin, expiration="1D").id
    # Both at once may lose their names, the base alone not; and what went together comes back together.
    assert main(["retire", "lab/base:1"]) == 1
    assert main(["retire", "lab/base:1", NAME]) == 0
    assert main(["retire", "--undo", NAME, "lab/base:1"]) == 0
    shop.client.keep(on_it)
    (shop.folder / "images.lock.json").unlink()
    with open_shock(ShockSettings()) as shock:
        (alone,) = plan_deletion(shock, ["lab/base*"], published=True)
        why = f"{NAME} would lack its layers; --force deletes it all the same"
        assert (alone.image.node.id, alone.refusal) == (base, why)
        both = plan_deletion(shock, ["*"], published=True)
        assert {one.image.node.id: one.refusal for one in both} == {base: "", on_it: ""}
        locked = plan_deletion(shock, ["*"], published=True, locked=[on_it])
        assert {one.image.node.id for one in locked if one.refusal} == {base, on_it}
    shop.client.expire(on_it, "1D")
    assert main(["retire", "lab/base:1", "--force"]) == 0
    assert shop.stays("*") == {base: f"{NAME} would lack its layers; --force deletes it all the same"}
    # Published again, the same image is its base.
    again = shop.publish("1", "lab/base:1")
    (shop.folder / "images.lock.json").unlink()
    assert shop.stays("*") == {}
    with open_shock(ShockSettings()) as shock:
        both = plan_deletion(shock, ["lab/base:1"], published=True)
        assert {one.image.node.id: one.refusal for one in both} == {again: why, base: ""}
    assert main(["retire", "lab/base:1", "--force"]) == 0
    assert shop.stays("*") == {again: why}


@pytest.mark.slow
def test_whose_it_is_and_how_much_space_it_takes(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    first = shop.publish("1" * 5000, "lab/a:1")
    assert main(["retire", "lab/a:1"]) == 0
    # The server copies the file, so it is stored once.
    second = shop.publish("1" * 5000, "lab/a:1")
    shop.be("ben")
    other = shop.publish("2", "lab/b:1")
    shop.client.set_public(other, False)
    hidden = shop.upload()
    found = shop.said("ls", "--all", "--long")
    by_node = {image["node"]: image for image in found["images"]}
    assert by_node.keys() == {first, second, other, hidden}
    assert {node: image["readable_by"] for node, image in by_node.items()} == {
        first: "everyone", second: "everyone", other: "listed users", hidden: "listed users"
    }  # fmt: skip
    # Shock tells owners only to those who are in a node's lists.
    assert by_node[second]["owner"] is None
    assert by_node[other]["owner"] == by_node[hidden]["owner"] is not None
    size = {node: image["size"] for node, image in by_node.items()}
    assert found["space"] == {
        "images": 4, "named": sum(size.values()), "stored": size[second] + size[other] + 1000, "reclaimable": 1000
    }  # fmt: skip
    assert [image["name"] for image in shop.said("ls", "--sort", "name")["images"]] == ["lab/a:1", "lab/b:1"]
    assert [image["node"] for image in shop.said("ls", "--sort", "size", "-r")["images"]][-1] == max(
        (second, other), key=size.__getitem__
    )
    assert main(["ls", "--format", "names", "--sort", "name"]) == 0
    assert capsys.readouterr().out == "lab/a:1\nlab/b:1\n"
    assert main(["ls", "--format", "tsv", "lab/b"]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert dict(zip(head.split("\t"), line.split("\t"), strict=True))["readers"] == "listed users"
    assert main(["ls", "--all", "--long"]) == 0
    assert "can be deleted" in capsys.readouterr().out


@pytest.mark.slow
def test_several_are_retired_at_once_or_none(shop: Shop) -> None:
    nodes = {name: shop.publish(name, name) for name in ("lab/a:1", "lab/b:1", "other/c:1")}
    assert shop.said("retire", "lab/*", "-n")["retired"].keys() == {"lab/a:1", "lab/b:1"}
    assert set(shop.states().values()) == {"published"}
    shop.said("retire", "lab/*", "other/nothing:1", code=1)
    assert set(shop.states().values()) == {"published"}
    shop.said("retire", "lab/*", "other/c:1", "--node", nodes["lab/a:1"], code=2)
    shop.said("retire", "lab/*")
    assert {name: shop.states()[node] for name, node in nodes.items()} == {
        "lab/a:1": "retired", "lab/b:1": "retired", "other/c:1": "published"
    }  # fmt: skip
    shop.said("retire", "--undo", "lab/?:1")
    assert set(shop.states().values()) == {"published"}
    assert "no image that fits nobody/*" in shop.said("retire", "nobody/*", code=1)["error"]


def names(plan: Any) -> list[str]:
    return sorted(node["name"] for node in plan["nodes"] if not node["refusal"])


def test_another_users_retired_image_is_not_called_published(shop: Shop) -> None:
    node = shop.publish("1")
    shop.said("retire", NAME)
    for user, advice in (("ben", "Ask the owner."), ("nobody", "Put a token into KB_AUTH_TOKEN.")):
        shop.be(user)
        assert shop.said("retire", "--undo", NAME, code=1)["error"] == (
            f"{NAME} was retired, and only the owner of node {node} gives the name back. {advice}"
        )


@pytest.mark.slow
def test_old_tags_go_and_the_newest_of_each_repository_stay(shop: Shop) -> None:
    for number in range(5):
        shop.publish(f"tool {number}", f"lab/tool:{number}")
    shop.publish("data", "lab/data:1")
    replaced = shop.publish("x", "lab/data:2")
    shop.publish("y", "lab/data:2", replace=True)
    # The folder's lock file names what was published last.
    Path("images.lock.json").unlink()
    plan = shop.said("delete", "*", "--published", "--keep", "2")
    assert (names(plan), plan["removed"]) == (["lab/tool:0", "lab/tool:1", "lab/tool:2"], False)
    assert shop.said("delete", "*", "--published", "--keep", "2", "--older", "1d")["nodes"] == []
    assert len(shop.said("ls")["images"]) == 7
    assert names(shop.said("delete", "lab/tool", "--published", "--keep", "4", "--remove")) == ["lab/tool:0"]
    assert [image["name"] for image in shop.said("ls", "lab/tool")["images"]] == [f"lab/tool:{n}" for n in (4, 3, 2, 1)]
    # Of what is retired, so many of each name are kept.
    assert shop.states()[replaced] == "replaced"


@pytest.mark.slow
def test_what_the_lock_file_names_is_not_deleted_by_age(shop: Shop) -> None:
    locked = shop.publish("1", "lab/tool:1")
    shop.publish("2", "lab/tool:2")
    kept = shop.stays("lab/*", "--published", "--keep", "1", "--force")
    assert kept == {locked: "the lock file names it"}


@pytest.mark.slow
def test_another_users_images_stay(shop: Shop) -> None:
    hers = shop.publish("1", "lab/tool:1")
    Path("images.lock.json").unlink()
    shop.be("ben")
    shop.publish("2", "lab/tool:2")
    done = shop.said("delete", "lab/*", "--published", "--keep", "1", "--remove", code=1)
    assert [(node["node"], node["refusal"]) for node in done["nodes"]] == [(hers, "it is another user's")]


def test_another_users_newer_images_are_not_those_that_are_kept(shop: Shop) -> None:
    shop.publish("1", "lab/tool:1")
    mine = shop.publish("2", "lab/tool:2")
    shop.be("ben")
    shop.publish("3", "lab/tool:3")
    shop.be("anna")
    Path("images.lock.json").unlink()
    assert names(shop.said("delete", "lab/*", "--published", "--keep", "1")) == ["lab/tool:1"]
    # Nor are those that have lost their names.
    shop.said("retire", "lab/tool:2")
    shop.be("ben")
    shop.publish("4", "lab/tool:2")
    shop.said("retire", "lab/tool:2")
    shop.be("anna")
    assert mine not in [node["node"] for node in shop.said("delete", "lab/tool:2", "--keep", "1")["nodes"]]


def test_published_images_are_not_deleted_without_a_rule(shop: Shop) -> None:
    shop.publish("1")
    for none in ([], ["--keep", "0"], ["--older", "0"]):
        error = shop.said("delete", "*", "--published", *none, code=2)["error"]
        assert "say with --older DAYS or --keep N which images stay; 0 would delete all of them" in error


@pytest.mark.slow
def test_the_space_that_is_taken(shop: Shop) -> None:
    shop.publish("1", "lab/tool:1")
    shop.publish("2", "lab/tool:1", replace=True)
    shop.publish("3", "lab/other:1")
    shop.said("tag", "lab/other:1", "lab/other:2")
    sizes = {image["node"]: image["size"] for image in shop.said("ls", "--all")["images"]}
    found = shop.said("du")
    assert found["total"]["images"] == 4
    assert found["total"]["named"] == sum(sizes.values())
    assert found["groups"]["lab/other"]["named"] == 2 * found["groups"]["lab/other"]["stored"]
    assert 0 < found["groups"]["lab/tool"]["reclaimable"] < found["groups"]["lab/tool"]["stored"]
    assert found["groups"]["lab/other"]["reclaimable"] == 0
    (owner,) = shop.said("du", "--by", "owner")["groups"]
    assert owner
    assert list(shop.said("du", "lab/tool", "--by", "state")["groups"]) == ["published", "replaced"]
    assert main(["du"]) == 0


@pytest.mark.slow
def test_filters(shop: Shop) -> None:
    shop.publish("1", "lab/tool:1")
    shop.publish("2", "lab/tool:1", replace=True)
    shop.be("ben")
    shop.publish("3" * 5000, "lab/large:1")

    def listed(*filters: str) -> list[str]:
        words = [word for text in filters for word in ("--filter", text)]
        return sorted(image["name"] for image in shop.said("ls", "--all", *words)["images"])

    assert listed("state=re*") == ["lab/tool:1"]
    assert listed("larger=3kB") == []
    assert listed("smaller=3kB", "state=published") == ["lab/large:1", "lab/tool:1"]
    assert listed("older=1d") == []
    assert len(listed("newer=1")) == 3
    assert listed("platform=linux/*", "readers=everyone", "state=published") == ["lab/large:1", "lab/tool:1"]
    assert listed("platform=linux/amd64") == listed("platform=linux/x86_64") == listed("platform=Linux/AMD*") != []
    assert listed("platform=linux/aarch64") == []
    assert listed("readers=listed users") == listed("readers=listed-*") == []
    assert listed("label=x") == []
    (mine,) = (image["owner"] for image in shop.said("ls", "lab/large", "--long")["images"])
    assert listed(f"owner={mine}") == ["lab/large:1"]


@pytest.mark.slow
def test_a_repository_is_not_retired_and_its_tags_are_told(shop: Shop) -> None:
    shop.publish("1")
    shop.publish("2", "lab/tol:1")
    assert shop.said("retire", "lab/tool", code=1)["error"] == (
        f"{shop.url} has no image lab/tool. `skyport-wf ls` shows what it has. There is lab/tool:1.0: name one with "
        "its tag."
    )
    for number in range(7):
        shop.publish("1", f"lab/many:{number}")
    told = shop.said("retire", "lab/many", code=1)["error"]
    assert told.endswith(
        " There are lab/many:0, lab/many:1, lab/many:2, lab/many:3, lab/many:4 and 2 more: name one with its tag."
    )
    assert len(shop.said("ls")["images"]) == 9


@pytest.mark.slow
def test_who_asks_without_a_token_is_told_of_no_private_image_but_that_one(shop: Shop) -> None:
    node = shop.publish("1", "lab/secret:1")
    shop.client.set_public(node, False)
    told = shop.said("resolve", "lab/secre:1", "--anonymous", code=1)["error"]
    assert told == "an AWE worker finds no image lab/secre:1. Is it published, and public?"
    assert shop.said("resolve", "lab/secre:1", code=1)["error"].endswith("Did you mean lab/secret:1?")
    shop.publish("2", "lab/secreta:1")
    private = " It is published, but a worker without a token may not read it."
    for asked in ("lab/secret:1", "lab/secret", "lab/secret:latest"):
        assert shop.said("resolve", asked, "--anonymous", code=1)["error"].endswith(private)
    assert shop.said("resolve", "lab/secre:1", "--anonymous", code=1)["error"].endswith("Did you mean lab/secreta:1?")


@pytest.mark.slow
def test_an_image_that_was_retired_is_told_before_another_is_guessed(shop: Shop) -> None:
    advice = "`skyport-wf ls --all` lists such images, `skyport-wf retire --undo` gives a name back"
    gone = "lab/tool:1.1"
    shop.publish("1")
    shop.publish("2", gone)
    shop.publish("3", "lab/own:1")
    assert main(["retire", gone, "lab/own:1"]) == 0
    for verb in ("show", "resolve", "receipt", "retire"):
        assert shop.said(verb, gone, code=1)["error"].endswith(f" But {gone} was retired: {advice}.")
    assert shop.said("show", "lab/own", code=1)["error"].endswith(f" But lab/own:1 was retired: {advice}.")

    def told(*arguments: str) -> str:
        shop._capsys.readouterr()
        assert main([*arguments]) == 0
        return shop._capsys.readouterr().out

    assert told("ls", gone) == f"no image {gone} is published here, but {gone} was retired: {advice}\n"
    assert told("find", gone, "-p", "openssl") == told("ls", gone)
    assert told("ls", "lab/own*") == "no image lab/own* is published here\n"
    # What is not for everyone's eyes, no other is told of.
    (node,) = shop.client.query({"type": "dockerimage-retired", "name": gone})
    shop.client.set_public(node.id, False)
    shop.be("ben")
    assert told("ls", gone) == f"no image {gone} is published here; did you mean {NAME}?\n"
    assert shop.said("show", gone, code=1)["error"].endswith(f"Did you mean {NAME}?")


@pytest.mark.parametrize("text", ["", "state", "state=", "size=1", "larger=x", "older=90w", "older=-1", "=x"])
def test_what_is_no_filter(shop: Shop, text: str) -> None:
    assert "means nothing" in shop.said("ls", "--filter", text, code=2)["error"]


def test_there_are_two_kinds_of_readers(shop: Shop) -> None:
    why = "--filter 'readers=private': there are no such readers. They are everyone, listed users."
    assert shop.said("ls", "--filter", "readers=private", code=2)["error"] == why


@pytest.mark.slow
def test_names_that_have_nothing_are_told_with_the_one_that_may_be_meant(shop: Shop) -> None:
    shop.publish("1")
    shop.publish("2", "lab/gone:1")
    assert main(["retire", "lab/gone:1"]) == 0

    def told(*arguments: str) -> list[str]:
        shop._capsys.readouterr()
        assert main([*arguments]) == 0
        return shop._capsys.readouterr().out.splitlines()

    misspelt = "no image lab/tol:1.0 is {}here; did you mean lab/tool:1.0?"
    assert told("du", "lab/tol") == ["no image lab/tol is here; did you mean lab/tool?"]
    assert told("du", "lab/tool", "nope/*")[-1] == "no image nope/* is here"
    assert told("ls", "LAB/TOOL:1.0") == ["no image LAB/TOOL:1.0 is published here; did you mean lab/tool:1.0?"]
    assert told("find", "lab/tol:1.0", "-p", "openssl") == [misspelt.format("published ")]
    assert told("ls", "lab/tol:1.0") == [misspelt.format("published ")]
    assert told("ls", NAME, "lab/gon:1", "--all")[-1] == "no image lab/gon:1 is here; did you mean lab/gone:1?"
    assert told("delete", "lab/tol:1.0", "--remove") == [misspelt.format("")]
    assert told("delete", "lab/gone", "nope/x:1")[-1] == "no image nope/x:1 is here"
    published = f"nothing to delete of {NAME}, which is published: `skyport-wf retire` takes the name off first"
    assert told("delete", NAME, "--remove") == [published]
    assert told("delete", "lab/gone", "--keep", "1")[-1].endswith("is retired: --keep or --older leaves it alone")
    both = "nothing to delete of lab/*, which is published and retired: --keep or --older leaves what is retired alone"
    assert told("delete", "lab/*", "--keep", "1") == told("delete", "lab/*", "--older", "90d") == [both]
    assert told("delete", NAME, "--published", "--keep", "1")[-1].endswith(
        "is published: --keep or --older leaves it alone"
    )
    shop.upload()
    assert told("delete", NAME)[-1].endswith(
        "is published and unfinished: `skyport-wf retire` takes the name off first"
    )
    assert told("ls", "--filter", "state=retired") == [
        "no image that fits is published here; `--all` looks at retired, replaced and unfinished ones, too"
    ]
    assert shop.said("ls", "--filter", "state=retird", code=2)["error"].startswith(
        "--filter 'state=retird': there is no such state. The states are published, "
    )
    assert shop.said("ls", "--all", "--filter", "state=ret*")["images"][0]["name"] == "lab/gone:1"
