"""Who may read what of a registry: the same as of the Shock behind it."""

import base64
import json

import pytest
from werkzeug.test import Client

from skyport_wf.registry.app import RegistryApp, ShockWithRegistry
from skyport_wf.registry.backend import EmbeddedBackend
from skyport_wf.store.users import renew_token
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.docker_archives import Image, layer_tar, sha256
from tests.support.registry import Puller, Pusher, publish
from tests.unit.registry.conftest import World

PUBLIC, SECRET = Image((layer_tar({"open": b""}),)), Image((layer_tar({"secret": b""}),))
UNKNOWN = f"sha256:{'7' * 64}"


@pytest.fixture
def published(world: World) -> World:
    publish(world.alice, world.folder, "lab/open:1", PUBLIC)
    publish(world.alice, world.folder, "lab/secret:1", SECRET, public=False)
    return world


def paths(world: World) -> list[str]:
    """Return every address of the private image."""
    owner = world.puller("alice")
    manifest = owner.get("/v2/lab/secret/manifests/1")
    described = json.loads(manifest.data)
    blobs = [blob["digest"] for blob in (described["config"], *described["layers"])]
    return [
        "/v2/lab/secret/tags/list",
        *(f"/v2/lab/secret/manifests/{reference}" for reference in ("1", "latest", manifest.headers["ETag"][1:-1])),
        *(f"/v2/{repository}/blobs/{digest}" for digest in blobs for repository in ("lab/secret", "lab/open")),
    ]


@pytest.mark.parametrize("name", ["alice", "admin"])
def test_a_private_image_is_there_for_its_owner_and_an_admin(published: World, name: str) -> None:
    puller = published.puller(name)
    assert puller.pull("lab/secret", "1")[0] == SECRET.config
    assert puller.json("/v2/_catalog") == {"repositories": ["lab/open", "lab/secret"]}
    for path in paths(published):
        answer = puller.get(path)
        assert answer.status_code == 200
        # No cache is to give it to someone else.
        assert "public" not in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["bob", None])
def test_a_private_image_is_not_there_for_others(published: World, name: str | None) -> None:
    # The registry has just found all of it for someone who may read it.
    found = paths(published)
    puller = published.puller(name) if name else published.nobody
    assert puller.json("/v2/_catalog") == {"repositories": ["lab/open"]}
    for path in found:
        for method in ("GET", "HEAD"):
            assert puller.get(path, method=method).status_code == 404
        # The same words as for one that is nowhere.
        other = path.replace("lab/secret", "lab/nobody")
        assert puller.get(path).text.replace("lab/secret", "lab/nobody") == puller.get(other).text
    referrers = f"/v2/lab/secret/referrers/{found[3].rpartition('/')[2]}"
    assert puller.json(referrers)["manifests"] == []


def test_a_reader_who_is_named_pulls_a_private_image(published: World) -> None:
    (node,) = published.alice.find("query&name=lab/secret:1")
    published.alice.put(f"/node/{node['id']}/acl/read?users=bob")
    assert published.puller("bob").pull("lab/secret", "1")[0] == SECRET.config
    published.alice.delete(f"/node/{node['id']}/acl/read?users=bob")
    assert [published.puller("bob").get(path).status_code for path in paths(published)].count(404) == 8


def test_a_private_base_is_not_handed_out_by_way_of_a_public_thin_image(published: World) -> None:
    tool = Image((*SECRET.layers, *PUBLIC.layers))
    publish(published.alice, published.folder, "lab/thin:1", tool, thin_on=("lab/secret:1", SECRET))
    assert published.puller("alice").pull("lab/thin", "1")[0] == tool.config
    secret = published.puller("alice").json("/v2/lab/thin/manifests/1")["layers"][0]["digest"]
    assert published.nobody.error(f"/v2/lab/thin/blobs/{secret}") == (404, "BLOB_UNKNOWN")


def test_who_sends_nothing_is_asked_for_a_token(published: World) -> None:
    client = Client(published.app)
    asked = [client.get(path) for path in ("/v2/", "/v2/lab/secret/manifests/1", "/v2/lab/nobody/manifests/1")]
    for answer in asked:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="http://localhost/v2/token",service="skyport-wf"'
        assert json.loads(answer.data)["errors"][0]["code"] == "UNAUTHORIZED"
    assert asked[1].text == asked[2].text.replace("nobody", "secret")
    # What everyone may read costs no question.
    assert client.get("/v2/lab/open/manifests/1").status_code == 200
    assert json.loads(client.get("/v2/_catalog").data) == {"repositories": ["lab/open"]}


def test_the_token_service_gives_each_what_they_are(published: World) -> None:
    client, token = Client(published.app), published.tokens["alice"]
    scope = "/v2/token?service=skyport-wf&scope=repository:lab/secret:pull&account=x"
    given = json.loads(client.get(scope).data)
    assert given["token"] == given["access_token"]
    assert client.get("/v2/", headers={"Authorization": f"Bearer {given['token']}"}).status_code == 200
    answer = client.get(scope, headers={"Authorization": basic("whoever", token)})
    assert answer.headers["Cache-Control"] == "no-store"
    bearer = {"Authorization": f"Bearer {json.loads(answer.data)['token']}"}
    assert client.get("/v2/lab/secret/manifests/1", headers=bearer).status_code == 200
    assert client.get(scope, headers={"Authorization": basic("alice", "wrong")}).status_code == 401
    # Some clients send an empty name and password where they have none.
    assert json.loads(client.get(scope, headers={"Authorization": basic("", "")}).data) == given


def basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "OAuth {}", "Basic {}"])
def test_a_token_comes_in_any_scheme(published: World, header: str) -> None:
    token = published.tokens["alice"]
    sent = basic("any:user"[:3], token) if header.startswith("Basic") else header.format(token)
    answer = Client(published.app).get("/v2/lab/secret/manifests/1", headers={"Authorization": sent})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer ",
        "Basic",
        "Basic !!!",
        "Basic YWJj",
        basic("alice", ""),
        "Bearer wrong",
        "Bearer a b",
        "Bearer ä",
        "Bearer " + "x" * 65_537,
        basic("a", "x\r\nHost: y"),
        basic("a", "ü"),
    ],
)
def test_an_authorization_that_nobody_has_is_refused_even_for_what_is_public(published: World, header: str) -> None:
    for path in ("/v2/", "/v2/token", "/v2/_catalog", "/v2/lab/open/manifests/1"):
        answer = Client(published.app).get(path, headers={"Authorization": header})
        assert answer.status_code == 401, path
        assert "WWW-Authenticate" in answer.headers


def test_a_token_that_was_good_a_moment_ago_is_refused_everywhere(published: World) -> None:
    bob = published.puller("bob")
    open_paths = ["/v2/lab/open/tags/list", "/v2/lab/open/manifests/1", f"/v2/lab/open/blobs/{UNKNOWN}", "/v2/_catalog"]
    for path in open_paths:
        assert bob.get("/v2/").status_code == 200
        token = renew_token(published.shock.store.database, "bob")
        assert bob.error(path) == (401, "UNAUTHORIZED")
        assert bob.error("/v2/token") == (401, "UNAUTHORIZED")
        bob = Puller(published.app, token)


def test_a_push_with_a_token_that_was_good_a_moment_ago_is_not_denied(published: World) -> None:
    bob = published.pusher("bob")
    manifest = bob.send_image("lab/new", SECRET)
    renew_token(published.shock.store.database, "bob")
    answer = bob.send("PUT", "/v2/lab/new/manifests/1", manifest)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, "UNAUTHORIZED")


def test_a_store_that_tells_nobody_anything_has_no_token_for_nobody(published: World) -> None:
    shock = ShockApp(published.shock.store, anonymous=frozenset())
    app = ShockWithRegistry(shock, RegistryApp(EmbeddedBackend(shock)))
    assert Client(app).get("/v2/token").status_code == 401
    for path in ("/v2/", "/v2/_catalog", "/v2/lab/open/manifests/1"):
        assert Puller(app).error(path) == (401, "UNAUTHORIZED")
    assert Puller(app, published.tokens["bob"]).pull("lab/open", "1")[0] == PUBLIC.config


def test_a_claim_to_a_blob_of_an_older_image_changes_nothing(published: World) -> None:
    blob = published.nobody.json("/v2/lab/open/manifests/1")["layers"][0]
    forged = Image((layer_tar({"forged": b""}),))
    node = publish(published.alice, published.folder, "lab/open:2", forged)
    attributes = published.alice.get(f"/node/{node}").json()["data"]["attributes"]
    attributes["skyport_wf"]["archive"]["layers"][0]["digest"] = blob["digest"]
    for tag in range(2, 20):
        attributes |= {"name": f"lab/open:{tag}", "tag": str(tag)}
        if tag > 2:
            node = published.alice.upload(copy_data=node, attributes=attributes)["id"]
            published.alice.put(f"/node/{node}/acl/public_read")
        published.alice.put(f"/node/{node}", files={"attributes": ("a.json", json.dumps(attributes))})
    for puller in (published.nobody, published.restarted()):
        # The forger's image was the last one that was asked for.
        assert puller.json("/v2/lab/open/manifests/19")["layers"][0]["digest"] == blob["digest"]
        puller.blob("lab/open", blob)


def test_the_public_address_is_where_tokens_are_given(published: World) -> None:
    registry = RegistryApp(EmbeddedBackend(published.shock), public_url="https://shock.example.org/")
    answer = Client(registry).get("/v2/")
    assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="https://shock.example.org/v2/token"')


ROUTES = {
    ("GET", "/v2/"): (200, 200, 200, 200),
    ("GET", "/v2/token"): (200, 200, 200, 200),
    ("GET", "/v2/_catalog"): (200, 200, 200, 200),
    ("GET", "/v2/lab/open/tags/list"): (200, 200, 200, 200),
    ("GET", "/v2/lab/open/manifests/1"): (200, 200, 200, 200),
    ("GET", "/v2/lab/secret/tags/list"): (200, 200, 404, 404),
    ("GET", "/v2/lab/secret/manifests/1"): (200, 200, 404, 404),
    ("GET", "/v2/lab/secret/manifests/latest"): (200, 200, 404, 404),
    ("GET", "/v2/lab/secret/manifests/{manifest}"): (200, 200, 404, 404),
    ("GET", "/v2/lab/secret/blobs/{config}"): (200, 200, 404, 404),
    ("GET", "/v2/lab/secret/blobs/{layer}"): (200, 200, 404, 404),
    ("HEAD", "/v2/lab/secret/blobs/{layer}"): (200, 200, 404, 404),
    # Whether something is there at all is not said: there is nothing that refers to it.
    ("GET", "/v2/lab/secret/referrers/{manifest}"): (200, 200, 200, 200),
    ("POST", "/v2/lab/open/blobs/uploads/"): (202, 202, 202, 401),
    ("POST", "/v2/lab/open/blobs/uploads/?mount={layer}"): (201, 201, 202, 401),
    ("GET", "/v2/lab/open/blobs/uploads/{upload}"): (204, 404, 404, 401),
    ("PATCH", "/v2/lab/open/blobs/uploads/{upload}"): (202, 404, 404, 401),
    ("PUT", "/v2/lab/open/blobs/uploads/{upload}?digest={empty}"): (201, 404, 404, 401),
    ("DELETE", "/v2/lab/open/blobs/uploads/{upload}"): (204, 404, 404, 401),
    ("GET", "/v2/lab/open/blobs/{pushed}"): (200, 404, 404, 404),
    ("GET", "/v2/lab/open/manifests/{index}"): (200, 404, 404, 404),
    # The name has another image: for everyone the same, and as for someone who may not read that.
    ("PUT", "/v2/lab/open/manifests/1"): (409, 409, 409, 401),
    ("DELETE", "/v2/lab/open/manifests/1"): (405, 405, 405, 405),
    ("DELETE", "/v2/lab/open/blobs/{layer}"): (405, 405, 405, 405),
}
"""The status of each route for the owner, an admin, another user and nobody."""


@pytest.mark.slow
@pytest.mark.parametrize(("route", "expected"), ROUTES.items(), ids=lambda value: " ".join(map(str, value)))
def test_each_route_for_each_caller(
    published: World, route: tuple[str, str], expected: tuple[int, int, int, int]
) -> None:
    method, path = route
    owner = published.pusher("alice")
    secret = owner.get("/v2/lab/secret/manifests/1")
    other = Image((layer_tar({"other": b""}),))
    index = b'{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}'
    found = {
        "manifest": secret.headers["Docker-Content-Digest"],
        "config": secret.json["config"]["digest"],
        "layer": secret.json["layers"][0]["digest"],
        "empty": f"sha256:{sha256(b'')}",
        "pushed": owner.send_blob("lab/open", b"pushed"),
        "index": f"sha256:{sha256(index)}",
    }
    assert owner.send("PUT", f"/v2/lab/open/manifests/{found['index']}", index).status_code == 201
    callers = [published.pusher(name) for name in ("alice", "admin", "bob")]
    statuses = []
    # The owner last, whose request may end an upload.
    for caller in [Pusher(published.app), *reversed(callers)]:
        upload = owner.send("POST", "/v2/lab/open/blobs/uploads/").headers["Docker-Upload-UUID"]
        body = b""
        if route == ("PUT", "/v2/lab/open/manifests/1"):
            # Each pushes the blobs, but those who may not.
            body = (caller if caller in callers else owner).send_image("lab/open", other)
        answer = caller.send(method, path.format(upload=upload, **found), body)
        statuses.append(answer.status_code)
        if answer.status_code == 200 and "referrers" in path:
            assert len(answer.json["manifests"]) == (caller in callers[:2])
    assert tuple(reversed(statuses)) == expected
