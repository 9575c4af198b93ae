import msgspec
import pytest

from skyport_wf.errors import AlreadyPublishedError, ShockError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.attributes import describe_image, to_json_values
from skyport_wf.publication.connect import open_shock
from skyport_wf.publication.name_state import PublishedNode, Standing, check_ownership, find_published, judge
from skyport_wf.serving.server import running_server
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.sample_records import IMAGE_ID, NAME, SOURCE_DIGEST, build_record, saved_archive

OURS = describe_image(build_record(), saved_archive(), registered="2024-02-03T04:05:06Z")
OTHER_ID = "sha256:" + "e" * 64
OTHER_DIGEST = "sha256:" + "f" * 64


def published(
    node: str = "n1", *, image_id: str = OTHER_ID, source_digest: str | None = OTHER_DIGEST, created: str = "2024"
) -> PublishedNode:
    """Return a node with another image, unless said otherwise; without a source digest another tool made it."""
    assert OURS.skyport_wf is not None
    own = msgspec.structs.replace(OURS.skyport_wf, source_digest=source_digest) if source_digest else None
    return PublishedNode(node, created, msgspec.structs.replace(OURS, id=image_id, skyport_wf=own))


def judged(*found: PublishedNode, replace: bool = False, image_id: str | None = IMAGE_ID) -> Standing:
    return judge(NAME, found, source_digest=SOURCE_DIGEST, image_id=image_id, replace=replace)


SAME_ID = published("same-id", image_id=IMAGE_ID)
SAME_SOURCE = published("same-source", source_digest=SOURCE_DIGEST)
OTHER = published("other")


def test_nothing_is_there():
    assert judged() == Standing(None, ())


@pytest.mark.parametrize("node", [SAME_ID, SAME_SOURCE, published(image_id=IMAGE_ID, source_digest=None)])
def test_the_very_image_is_there(node):
    assert judged(node) == Standing(node, ())


def test_before_it_is_built_only_the_source_tells():
    assert judged(SAME_SOURCE, image_id=None) == Standing(SAME_SOURCE, ())
    with pytest.raises(AlreadyPublishedError):
        judged(SAME_ID, image_id=None)


@pytest.mark.parametrize("image_id", ["", IMAGE_ID[:-1]])
def test_an_id_that_is_not_the_same_is_another_image(image_id):
    with pytest.raises(AlreadyPublishedError):
        judged(published(image_id=image_id, source_digest=None))


def test_a_node_without_an_id_is_not_an_image_whose_id_is_not_known_yet():
    with pytest.raises(AlreadyPublishedError):
        judged(published(image_id="", source_digest=None), image_id=None)


def test_another_image_has_the_name():
    with pytest.raises(AlreadyPublishedError) as caught:
        judged(OTHER)
    assert str(caught.value) == (
        f"{NAME} is published already, as another image (node other with image {OTHER_ID}, registered "
        "2024-02-03T04:05:06Z). A published name stays what it is: give this image a new tag, or set `replace: true` "
        "for it in the image list."
    )


def test_several_others_are_all_named():
    with pytest.raises(AlreadyPublishedError) as caught:
        judged(published("n1", source_digest=None), SAME_ID, published("n2"))
    message = str(caught.value)
    assert f"(node n1 with image {OTHER_ID}, node n2 with image {OTHER_ID})" in message
    assert "same-id" not in message


def test_with_leave_to_replace_the_others_have_to_go():
    assert judged(OTHER, replace=True) == Standing(None, (OTHER,))
    assert judged(OTHER, SAME_ID, replace=True) == Standing(SAME_ID, (OTHER,))


def test_of_two_nodes_with_the_very_image_the_older_stays():
    assert judged(SAME_ID, SAME_SOURCE) == Standing(SAME_ID, (SAME_SOURCE,))
    assert judged(SAME_ID, OTHER, SAME_SOURCE, replace=True) == Standing(SAME_ID, (OTHER, SAME_SOURCE))


def test_two_nodes_that_are_alike_are_still_two():
    twin = published("twin", image_id=IMAGE_ID)
    assert judged(SAME_ID, twin) == Standing(SAME_ID, (twin,))


def put(shock: ShockClient, attributes: dict[str, object]) -> str:
    return shock.create(lambda: [b"x"], file_name="x.tar.gz", attributes=attributes, expiration="2D").id


def test_nodes_of_a_name_are_found_oldest_first(shock):
    nodes = [put(shock, to_json_values(msgspec.structs.replace(OURS, id=f"sha256:{n}"))) for n in range(3)]
    put(shock, to_json_values(msgspec.structs.replace(OURS, name="skyport/velvet:1.2.1")))
    put(shock, {**to_json_values(OURS), "type": "dockerimage-upload"})
    found = find_published(shock, NAME)
    assert [node.id for node in found] == nodes
    assert [node.attributes.id for node in found] == ["sha256:0", "sha256:1", "sha256:2"]
    assert find_published(shock, "skyport/velvet:9") == []


def test_a_node_with_damaged_attributes_is_named(shock):
    node = put(shock, {"type": "dockerimage", "name": NAME, "id": 5})
    with pytest.raises(ShockError) as caught:
        find_published(shock, NAME)
    assert str(caught.value) == (
        f"node {node} says it is a Docker image, but its attributes are damaged, and AWE workers fail on its name. "
        "Delete it."
    )


class TestOwnership:
    @pytest.fixture
    def people(self, tmp_path, monkeypatch):
        """Two users of one server, and one without a token, where everyone may write."""
        with (
            open_store(tmp_path / "shock") as store,
            running_server(ShockApp(store, anonymous=frozenset({"read", "write"}))) as server,
        ):
            tokens = {name: add_user(store.database, name) for name in ("alice", "bob")}
            monkeypatch.setenv("SHOCK_URL", server.url)
            yield {
                "alice": self.client(monkeypatch, tokens["alice"]),
                "bob": self.client(monkeypatch, tokens["bob"]),
                "nobody": open_shock(ShockSettings(), anonymous=True),
            }

    def client(self, monkeypatch, token):
        monkeypatch.setenv("KB_AUTH_TOKEN", token)
        return open_shock(ShockSettings())

    def test_ones_own_node(self, people):
        node = put(people["alice"], to_json_values(OURS))
        for public in (False, True):
            people["alice"].set_public(node, public)
            check_ownership(people["alice"], node, NAME)
            assert people["alice"].read_access(node).public.read is public

    def test_another_users_node(self, people):
        node = put(people["alice"], to_json_values(OURS))
        people["alice"].set_public(node, True)
        with pytest.raises(AlreadyPublishedError) as caught:
            check_ownership(people["bob"], node, NAME)
        assert str(caught.value) == (
            f"{NAME} is published by another user (node {node}). Publish under another name, or ask the owner."
        )
        assert people["alice"].read_access(node).public.read is True

    def test_without_a_token_nobody_can_tell_whose_a_node_is(self, people):
        node = put(people["alice"], to_json_values(OURS))
        people["alice"].set_public(node, True)
        with pytest.raises(ShockRefusalError, match="Put a token into KB_AUTH_TOKEN"):
            check_ownership(people["nobody"], node, NAME)

    def test_nobodys_node_is_everyones(self, people):
        node = put(people["nobody"], to_json_values(OURS))
        for client in people.values():
            check_ownership(client, node, NAME)
