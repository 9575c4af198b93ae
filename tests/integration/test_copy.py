"""`copy`: a published image on a second Shock, as another user there; the two servers see nothing of each other."""

import gzip
import json
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from skyport_wf.publication.attributes import CLAIM_TYPE, RETIRED_TYPE, UPLOAD_TYPE
from skyport_wf.publication.inventory import list_images
from skyport_wf.publication.resolve import resolve
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.users import add_user
from skyport_wf.transfer.copy import bases_first
from tests.support.deadly_app import DeadlyApp
from tests.support.fault_proxy import Fault, FaultProxy, kill_at
from tests.support.http_server import Recording
from tests.support.lab import MIB, NAME, Lab, incompressible_layer
from tests.support.own_server import running_server
from tests.support.timing import wait_until

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

OURS, THEIRS = "token-of-the-lab", "token-of-the-others"
SIZE = 2 * MIB
NAMES = tuple(f"lab/tool{number}:1" for number in range(3))


class Watched(DeadlyApp):
    """Remembers what was asked, and can kill a command."""

    def __init__(self, store: Store, anonymous: frozenset[str] = frozenset({"read"})) -> None:
        super().__init__(store, anonymous)
        self.seen = Recording(super().__call__)

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self.seen(environ, start_response)

    @property
    def requests(self) -> int:
        return len(self.seen.answers)

    @property
    def changes(self) -> list[tuple[str, str, int]]:
        return [answer for answer in self.seen.answers if answer[0] != "GET"]

    def forget(self) -> None:
        self.seen.authorizations.clear()
        self.seen.answers.clear()


class World:
    """Two Shocks with a user each, and a lab that publishes on the first one."""

    def __init__(self, folder: Path, opened: ExitStack, *, anonymous: frozenset[str] = frozenset({"read"})) -> None:
        stores = [opened.enter_context(open_store(folder / name)) for name in ("here", "there")]
        add_user(stores[0].database, "alice", token=OURS)
        add_user(stores[1].database, "bob", token=THEIRS)
        self.here, self.there = Watched(stores[0]), Watched(stores[1], anonymous)
        self.url, self.to = (opened.enter_context(running_server(app)).url for app in (self.here, self.there))
        self.lab = Lab(folder / "lab", OURS)
        self.lab.variables |= {"SHOCK_URL": self.url, "THERE": THEIRS, "SKYPORT_RETRY_SECONDS": "5"}

    def publish(self, *layers: bytes, fields: str = "", name: str = NAME) -> Node:
        self.lab.write(*(layers or (incompressible_layer(SIZE),)), fields=fields, name=name)
        done = self.lab.run("publish", name, "--record", "receipt.json")
        assert done.code == 0, done.log
        (node,) = self.original.query({"type": "dockerimage", "name": name})
        self.here.forget()
        return node

    def arguments(self, *more: str, name: str = NAME, to: str = "") -> list[str]:
        return ["copy", name, "--to", to or self.to, "--to-token-env", "THERE", "--record", "copy.json", *more]

    def copy(self, *more: str, name: str = NAME, **variables: str) -> Any:
        """Copy, see that it worked, and return what `--json` says."""
        done = self.lab.run(*self.arguments(*more, name=name), "--json", **variables)
        assert THEIRS not in done.out + done.log
        return done.result

    def refused(self, *more: str, code: int = 1, to: str = "", name: str = NAME, **variables: str) -> str:
        done = self.lab.run(*self.arguments(*more, to=to, name=name), **variables)
        assert done.code == code, done.log
        assert THEIRS not in done.log
        return done.log

    @property
    def original(self) -> ShockClient:
        return ShockClient(self.url, token=OURS)

    @property
    def copied(self) -> ShockClient:
        return ShockClient(self.to, token=THEIRS)

    def the_copy(self, original: Node, name: str = NAME) -> Node:
        """Return the only node of the name there, and see that it is the image, whole and to stay."""
        (node,) = self.copied.query({"type": "dockerimage", "name": name})
        assert not node.expires
        assert (node.file.size, node.file.checksum.md5) == (original.file.size, original.file.checksum.md5)
        assert without_time(node) == without_time(original)
        with self.original.download(original.id) as one, self.copied.download(node.id) as other:
            assert one.read() == other.read()
        return node

    def assert_nothing_there(self) -> None:
        # No node of any kind, hidden or not, and no claim.
        assert self.copied.query({"name": NAME}) == []


def without_time(node: Node) -> dict[str, Any]:
    """Return the attributes without when they were registered there, and in whose place."""
    attributes = {**(node.attributes or {})}
    own = {**attributes.pop("skyport_wf")}
    assert own.pop("registered").endswith("Z")
    del own["replaces"]
    return {**attributes, "skyport_wf": own}


@contextmanager
def a_world(folder: Path, **options: Any) -> Iterator[World]:
    with ExitStack() as opened:
        yield World(folder, opened, **options)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with a_world(tmp_path) as made:
        yield made


def test_an_image_goes_over_once(world: World) -> None:
    original = world.publish()
    said = world.copy()
    node = world.the_copy(original)
    assert node.id != original.id
    assert said["origin"] == original.id
    assert said["sent"] == original.file.size
    receipt = json.loads((world.lab.folder / "copy.json").read_text())
    assert said["receipt"] == receipt
    assert (receipt["shock"], receipt["node"], receipt["md5"]) == (world.to, node.id, original.file.checksum.md5)
    assert receipt["download_url"] == f"{world.to}/node/{node.id}?download"
    assert receipt["readable_by"] == "everyone"
    assert receipt["layers"] == json.loads((world.lab.folder / "receipt.json").read_text())["layers"]
    # A worker there, without a token, gets it.
    assert resolve(ShockClient(world.to), NAME).id == node.id
    assert world.copied.query({"type": CLAIM_TYPE}) == world.copied.query({"type": UPLOAD_TYPE}) == []

    world.there.forget()
    again = world.copy()
    assert again["sent"] == 0
    assert again["receipt"] == receipt
    assert world.there.changes == []


def test_without_a_tag_the_highest_goes_over(world: World) -> None:
    world.publish(incompressible_layer(1000, seed=1), name="lab/tool:1.9")
    highest = world.publish(incompressible_layer(1000, seed=2), name="lab/tool:1.10")
    world.copy(name="lab/tool")
    world.the_copy(highest, "lab/tool:1.10")
    assert world.copied.query({"type": "dockerimage", "name": "lab/tool:1.9"}) == []


def test_each_server_sees_its_own_token_and_no_other(world: World, tmp_path: Path) -> None:
    world.publish(fields="public: false")
    (tmp_path / "token").write_text(OURS)
    world.copy(KB_AUTH_TOKEN="", SHOCK_TOKEN_FILE=str(tmp_path / "token"))
    assert world.here.seen.authorizations == {f"OAuth {OURS}"}
    assert world.there.seen.authorizations == {f"OAuth {THEIRS}"}

    world.here.forget()
    world.there.forget()
    log = world.refused("--to-token-env", "KB_AUTH_TOKEN", code=2)
    assert "KB_AUTH_TOKEN holds the token for" in log
    assert "a token goes to one server only" in log
    log = world.refused("--to-token-env", "NOT_SET", code=2)
    assert "the variable NOT_SET has no token. Set it." in log
    assert world.here.requests == world.there.requests == 0


def test_the_word_before_the_token_there(world: World) -> None:
    world.publish(incompressible_layer(1000))
    world.copy("--to-auth", "Bearer")
    assert world.there.seen.authorizations == {f"Bearer {THEIRS}", None}
    assert "has no `:`" in world.refused("--to-auth", "basic", code=2)


@pytest.mark.parametrize(("private", "options"), [(True, []), (False, ["--private"])], ids=["original", "wish"])
def test_private_images_stay_private(world: World, private: bool, options: list[str]) -> None:
    original = world.publish(fields=f"public: {str(not private).lower()}")
    said = world.copy(*options)
    node = world.the_copy(original)
    assert said["receipt"]["readable_by"] == "listed users"
    assert not world.copied.read_access(node.id).public.read
    assert ShockClient(world.to).query({"name": NAME}) == []
    # Nor does a copy that is there already change who may read it.
    world.there.forget()
    assert world.copy()["sent"] == 0
    assert world.there.changes == []


def test_without_a_token(tmp_path: Path) -> None:
    with a_world(tmp_path, anonymous=frozenset({"read", "write", "delete"})) as world:
        original = world.publish()
        command = ["copy", NAME, "--to", world.to]
        done = world.lab.run(*command, "--private")
        assert done.code == 2
        assert f"{NAME} is to be private, and without a token nothing can be" in done.log
        assert world.there.requests == 0
        done = world.lab.run(*command)
        assert done.code == 0, done.log
        node = world.the_copy(original)
        assert world.copied.read_access(node.id).owner == "public"
        # That the copy cannot be private any more is no failure: it is there, and stays as it is.
        there = world.copy("--private")
        assert (there["sent"], there["receipt"]["readable_by"]) == (0, "everyone")
        # The tests themselves have asked with one.
        assert world.there.seen.authorizations <= {None, f"OAuth {THEIRS}"}


def test_a_server_that_wants_a_token(world: World) -> None:
    world.publish()
    done = world.lab.run("copy", NAME, "--to", world.to)
    assert done.code == 1
    assert "Put a token into a variable, and name that with --to-token-env." in done.log
    world.assert_nothing_there()


def test_another_image_of_the_name(world: World) -> None:
    world.publish(incompressible_layer(1000, seed=1))
    world.copy()
    (before,) = world.copied.query({"type": "dockerimage"})
    assert world.lab.run("retire", NAME).code == 0
    original = world.publish(incompressible_layer(1000, seed=2))
    world.there.forget()
    log = world.refused()
    assert f"{NAME} is published already, as another image (node {before.id} with image" in log
    assert "copy it under this name only with --replace" in log
    assert world.there.changes == []
    world.copy("--replace")
    world.the_copy(original)
    (retired,) = world.copied.query({"type": RETIRED_TYPE})
    assert retired.id == before.id


def test_another_user_of_the_name(world: World) -> None:
    world.publish(incompressible_layer(1000, seed=1))
    world.copy()
    assert world.lab.run("retire", NAME).code == 0
    world.publish(incompressible_layer(1000, seed=2))
    carol = add_user(world.there.store.database, "carol")
    world.there.forget()
    log = world.refused("--replace", THERE=carol)
    assert f"{NAME} is published by another user" in log
    # Found out before anything was sent.
    assert not [change for change in world.there.changes if change[0] == "POST"]


def test_bytes_that_are_there_are_not_sent(world: World) -> None:
    original = world.publish()
    world.copy()
    assert world.lab.run("retire", NAME, SHOCK_URL=world.to, KB_AUTH_TOKEN=THEIRS).code == 0
    world.here.forget()
    assert world.copy()["sent"] == 0
    world.the_copy(original)


def test_a_name_that_is_not_published(world: World) -> None:
    log = world.refused()
    assert f"an AWE worker finds no image {NAME}" in log
    assert world.there.requests == 0


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("there.example.org", "--to: not the URL of a Shock server"),
        ("https://me:secret@there.example.org", "--to: a user or password in the URL would end up in records"),
    ],
)
def test_what_is_no_server(world: World, to: str, said: str) -> None:
    log = world.refused(to=to, code=2)
    assert said in log
    assert "secret" not in log


def test_a_damaged_file_does_not_arrive(world: World) -> None:
    original = world.publish()
    (path,) = [path for path in world.here.store.files if path.stat().st_size == original.file.size]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    log = world.refused()
    assert f"the file of {NAME} is damaged: it has MD5" in log
    assert f"not {original.file.checksum.md5}" in log
    world.assert_nothing_there()
    # The server is told by the end of the connection alone.
    wait_until(lambda: not list(world.there.store.files))
    assert not (world.lab.folder / "copy.json").exists()


def test_a_connection_that_breaks_on_either_side(world: World) -> None:
    original = world.publish()
    # The second request reads the ACL, the third one is the download.
    with FaultProxy(world.url, request_fault=(3, "cut answer")) as here, FaultProxy(world.to) as there:
        there.plan(Fault("reset", SIZE // 2))
        done = world.lab.run(*world.arguments(to=there.url), SHOCK_URL=here.url)
        assert done.code == 0, done.log
        assert done.log.count("Trying again") >= 2
        assert len(there.struck) == len(here.struck) == 1
    world.the_copy(original)
    assert len(world.copied.query({"name": NAME})) == 1


def test_killed_while_the_bytes_go_over(world: World) -> None:
    original = world.publish()
    with FaultProxy(world.to) as proxy:
        kill_at(proxy, SIZE // 2, lambda: world.lab.start(*world.arguments(to=proxy.url)))
    world.assert_nothing_there()
    world.copy()
    world.the_copy(original)


def test_killed_at_every_request_and_run_again(world: World) -> None:
    original = world.publish(incompressible_layer(1000))
    world.copy()
    requests = world.there.requests
    assert requests > 8
    for number in range(1, requests + 1):
        with world.there.store.database.write() as connection:
            connection.execute("DELETE FROM node")
        world.there.arm(number)
        assert world.there.run(lambda: world.lab.start(*world.arguments())) == -signal.SIGKILL, number
        world.copy()
        node = world.the_copy(original)
        # An upload or a claim of the one that was killed may be left; it deletes itself.
        assert all(other.expires for other in world.copied.query({"name": NAME}) if other.id != node.id)


def test_to_and_from_the_embedded_shock(world: World, tmp_path: Path) -> None:
    original = world.publish()
    data = {"SKYPORT_DATA": str(tmp_path / "embedded")}
    done = world.lab.run("copy", NAME, "--to", "embedded", "--record", "copy.json", **data)
    assert done.code == 0, done.log
    receipt = json.loads((world.lab.folder / "copy.json").read_text())
    assert (receipt["shock"], receipt["md5"]) == ("embedded", original.file.checksum.md5)
    assert world.lab.run("retire", NAME).code == 0
    # From there to the other one, with the one token that there is.
    command = ["copy", NAME, "--to", world.to, "--to-token-env", "KB_AUTH_TOKEN"]
    done = world.lab.run(*command, SHOCK_URL="embedded", KB_AUTH_TOKEN=THEIRS, **data)
    assert done.code == 0, done.log
    world.the_copy(original)


def test_a_thin_image_needs_its_base_there(world: World) -> None:
    base = world.publish(incompressible_layer(1000, seed=1), name="lab/base:1")
    whole = world.publish(incompressible_layer(1000, seed=2))
    assert base.attributes
    assert whole.attributes
    thin = {"base_image_id": base.attributes["id"], "base_image_tag": "lab/base:1"}
    original = world.original.replace_attributes(whole.id, {**whole.attributes, **thin})
    log = world.refused()
    assert f"{NAME} is a thin image built on lab/base:1, which {world.to} does not have" in log
    assert f"`skyport-wf copy lab/base:1 --to {world.to}`" in log
    assert world.there.changes == []
    world.copy(name="lab/base:1")
    world.copy()
    node = world.the_copy(original)
    assert node.attributes
    assert node.attributes["base_image_id"] == base.attributes["id"]


def test_an_image_that_another_tool_published(world: World) -> None:
    attributes = {
        "type": "dockerimage",
        "name": NAME,
        "repository": "lab/tool",
        "tag": "1.0",
        "id": "sha256:" + "1" * 64,
        "docker_version": {"Version": "1.3"},
        "more": [1, None, {"deep": 2.5}],
    }
    node = world.original.create(lambda: [gzip.compress(b"archive")], file_name="x.tar", attributes={}, expiration="1D")
    world.original.replace_attributes(node.id, attributes)
    world.original.set_public(node.id, True)
    world.copy()
    (copied,) = world.copied.query({"type": "dockerimage"})
    assert copied.attributes == attributes
    assert copied.file.checksum.md5 == node.file.checksum.md5
    assert world.copy()["sent"] == 0


def test_several_at_once_after_a_look(world: World) -> None:
    """Base images come first; one that cannot be copied keeps no other from it."""
    for name in ("lab/b:1", "lab/a:1", "lab/c:1"):
        world.publish(name=name)
    world.lab.write(incompressible_layer(1000, seed=9), name="lab/c:1")
    there = {"SHOCK_URL": world.to, "KB_AUTH_TOKEN": THEIRS}
    assert world.lab.run("publish", "lab/c:1", **there).code == 0
    names = ["lab/[ab]:1", "lab/c:1"]
    command = ["copy", *names, "--to", world.to, "--to-token-env", "THERE"]
    plan = world.lab.run(*command, "--dry-run", "--json")
    assert plan.code == 1
    said = json.loads(plan.out)
    assert (said["error"], said["exit_code"]) == ("1 of 3 images would fail", 1)
    found = said["dry_run"]
    assert [(one["name"], one["next"][:9]) for one in found] == [
        ("lab/a:1", "copy it, "), ("lab/b:1", "copy it, "), ("lab/c:1", "fail: lab")
    ]  # fmt: skip
    assert len(world.copied.query({"type": "dockerimage"})) == 1
    assert world.lab.run(*command, "--record", "one.json").code == 2
    done = world.lab.run(*command, "--record", "{key}.json", "--json")
    assert done.code == 1
    told = json.loads(done.out)
    assert [one["receipt"]["name"] for one in told["copied"]] == ["lab/a:1", "lab/b:1"]
    assert [*told["failed"]] == ["lab/c:1"]
    assert told["exit_code"] == 1
    assert told["error"] == "2 of 3 images copied; run the command again to copy the others"
    assert (world.lab.folder / "lab_b_1.json").exists()
    # Again, nothing is sent.
    again = json.loads(world.lab.run(*command, "--json").out)
    assert [one["sent"] for one in again["copied"]] == [0, 0]
    assert world.lab.run(*command).out.split()[:2] == ["IMAGE", "RESULT"]
    assert "no image that fits nothing/*" in world.lab.run("copy", "nothing/*", *command[3:]).log


def test_all_at_once_and_again_what_failed(world: World) -> None:
    """Several jobs; of one that a killed command had begun, what arrived is not sent again."""
    nodes = {name: world.publish(incompressible_layer(SIZE, seed=at), name=name) for at, name in enumerate(NAMES)}
    world.lab.write(incompressible_layer(10), settings="parts_above: 0, part_size: 1")
    command = ("copy", "--all", "--to-token-env", "THERE", "--jobs", "3")
    assert world.lab.run(*command, NAME, "--to", world.to).code == 2
    assert world.lab.run(*command[:2], "--to", world.to, "--jobs", "0").code == 2
    plan = world.lab.do(*command, "--to", world.to, "-n")
    assert plan["size"] == sum(node.file.size for node in nodes.values())
    assert world.copied.query({"type": "dockerimage*"}) == []
    with FaultProxy(world.to) as proxy:
        # Of three that go at once in parts of 1 MiB, one at least is in its second by then.
        kill_at(proxy, 4 * MIB, lambda: world.lab.start(*command, "--to", proxy.url))
    begun = {node.id for node in world.copied.query({"type": UPLOAD_TYPE}) if node.part_md5s}
    assert begun
    done = world.lab.do(*command, "--to", world.to)
    assert begun <= {one["receipt"]["node"] for one in done["copied"]}
    assert len(done["copied"]) == len(NAMES)
    for name, node in nodes.items():
        world.the_copy(node, name)
    # Again, nothing is sent.
    world.there.forget()
    assert {one["sent"] for one in world.lab.do(*command, "--to", world.to)["copied"]} == {0}
    assert world.there.changes == []


def test_of_a_shock_without_images_there_is_nothing_to_copy(world: World) -> None:
    command = ("copy", "--all", "--to", world.to, "--to-token-env", "THERE")
    done = world.lab.run(*command)
    assert (done.code, done.out) == (0, f"{world.url} has no published images, so there is nothing to copy\n")
    assert world.lab.do(*command) == {"copied": [], "failed": {}}
    assert world.lab.do(*command, "--dry-run") == {"dry_run": [], "size": 0}
    # One that was retired is none of those.
    world.publish()
    assert world.lab.run("retire", NAME).code == 0
    assert world.lab.do(*command) == {"copied": [], "failed": {}}
    assert world.there.requests == 0


def test_bases_come_first(world: World) -> None:
    for name, base in {"lab/a:1": "lab/b:1", "lab/b:1": "lab/c:1", "lab/c:1": "", "lab/x:1": "lab/x:1"}.items():
        world.original.create_empty(
            attributes={"type": "dockerimage", "name": name, "id": "x", "base_image_tag": base}, expiration="1D"
        )
    images = list_images(world.original)
    assert bases_first(["lab/a:1", "lab/b:1", "lab/c:1"], images) == [["lab/c:1"], ["lab/b:1"], ["lab/a:1"]]
    assert bases_first(["lab/a:1", "lab/x:1"], images) == [["lab/a:1"], ["lab/x:1"]]
