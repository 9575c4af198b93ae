"""Lists in pages, referrers, and whatever a client may send that no registry can answer."""

import json

import pytest
from werkzeug.test import create_environ

from skyport_wf.registry.app import RegistryApp
from skyport_wf.registry.backend import EmbeddedBackend, RemoteBackend
from tests.support.docker_archives import Image, layer_tar
from tests.support.registry import DOCKER_MANIFEST, OCI_MANIFEST, Puller, publish
from tests.unit.registry.conftest import World

IMAGE = Image((layer_tar({"bin/bash": b""}),))
DIGEST = f"sha256:{'7' * 64}"


def test_lists_come_in_pages(world: World) -> None:
    for name in ("a/b", "a", "c-d", "e"):
        publish(world.alice, world.folder, f"{name}:1", IMAGE)
    for tag in ("B", "a", "1.10"):
        publish(world.alice, world.folder, f"a:{tag}", IMAGE)
    for path, key, names in (
        ("/v2/_catalog", "repositories", ["a", "a/b", "c-d", "e"]),
        ("/v2/a/tags/list", "tags", ["1", "1.10", "B", "a"]),
    ):
        assert world.nobody.json(path)[key] == names
        pages, link = [], f"<{path}?n=3>"
        while link:
            answer = world.nobody.get(link[1 : link.index(">")])
            pages.append(json.loads(answer.data)[key])
            link = answer.headers.get("Link", "")
            assert not link or link.endswith('>; rel="next"')
        assert pages == [names[:3], names[3:]]
        assert world.nobody.json(f"{path}?n=0")[key] == []
        assert "Link" not in world.nobody.get(f"{path}?n=0").headers
        assert world.nobody.json(f"{path}?n=999999999999999")[key] == names
        assert world.nobody.json(f"{path}?last={names[1]}&n=1")[key] == [names[2]]
        # What `last` names need not be there.
        assert world.nobody.json(f"{path}?last=zzz")[key] == []


@pytest.mark.parametrize("number", ["-1", "x", "", "1.5", "+1", "9" * 30, "٣", " 1", "1&n=2x"])
def test_a_number_of_entries_that_is_none(world: World, number: str) -> None:
    publish(world.alice, world.folder, "lab/tool:1", IMAGE)
    for path in ("/v2/_catalog", "/v2/lab/tool/tags/list"):
        if number == "1&n=2x":
            assert world.nobody.get(f"{path}?n={number}").status_code == 200
        else:
            assert world.nobody.error(f"{path}?n={number.replace('+', '%2B')}") == (400, "PAGINATION_NUMBER_INVALID")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "a/..",
        "a/../b",
        "A",
        "a//b",
        "/a",
        "a/",
        "a b",
        "a:b",
        "a%00b",
        "%2e%2e",
        "a\\b",
        "ü",
        "-a",
        "a__-b",
        "a" * 256,
        "a?",
        "a*",
        "_catalog/x",
        "a/%0d%0ab",
        "%ff",
    ],
)
def test_a_name_that_no_repository_has(world: World, name: str) -> None:
    for path in ("tags/list", "manifests/1", f"manifests/{DIGEST}", f"blobs/{DIGEST}", f"referrers/{DIGEST}"):
        status, code = world.nobody.error(f"/v2/{name}/{path}")
        assert (status, code) in ((400, "NAME_INVALID"), (404, "UNSUPPORTED"))


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:",
        "sha256:abc",
        f"sha256:{'7' * 63}",
        f"sha256:{'A' * 64}",
        f"sha256:{'7' * 65}",
        "x:y",
        ":",
        f"sha256:{'7' * 64}:",
        f"SHA256:{'7' * 64}",
        "sha256:" + "7" * 10_000,
        "sha256:..%2f",
    ],
)
def test_a_digest_that_is_none(world: World, digest: str) -> None:
    for path in ("manifests", "blobs", "referrers"):
        status, code = world.nobody.error(f"/v2/lab/tool/{path}/{digest}")
        assert (status, code) in ((400, "DIGEST_INVALID"), (404, "UNSUPPORTED"), (400, "NAME_INVALID"))


@pytest.mark.parametrize("tag", [".INVALID", "-x", "a" * 129, "*", "1.0*", "ü", "a b", "%00", "..", "lat%65st"])
def test_a_tag_that_nothing_is_published_under(world: World, tag: str) -> None:
    publish(world.alice, world.folder, "lab/other:1.0", IMAGE)
    assert world.nobody.error(f"/v2/lab/tool/manifests/{tag}") == (404, "MANIFEST_UNKNOWN")


def test_who_searches_or_asks_for_what_no_registry_has_is_told_so(world: World) -> None:
    for app in (world.app, RegistryApp(RemoteBackend("http://shock.test"))):
        for path, words in (
            ("/v1/search?q=tool", "there is no search here: /v2/_catalog lists the repositories"),
            ("/v1/_ping", "there is no search here"),
            ("/v2/no-route", "this registry has nothing at this address"),
        ):
            answer = Puller(app).get(path)
            assert (answer.status_code, answer.json["errors"][0]["code"]) == (404, "UNSUPPORTED")
            assert answer.json["errors"][0]["message"].startswith(words)


def test_what_is_not_there(world: World) -> None:
    publish(world.alice, world.folder, "lab/tool:1", IMAGE)
    sha512 = f"sha512:{'7' * 128}"
    for digest in (DIGEST, sha512):
        assert world.nobody.error(f"/v2/lab/tool/manifests/{digest}") == (404, "MANIFEST_UNKNOWN")
        assert world.nobody.error(f"/v2/lab/tool/blobs/{digest}") == (404, "BLOB_UNKNOWN")
        assert world.nobody.json(f"/v2/lab/tool/referrers/{digest}")["manifests"] == []
    assert world.nobody.error("/v2/lab/tool/manifests/2") == (404, "MANIFEST_UNKNOWN")
    assert world.nobody.error("/v2/lab/nobody/tags/list") == (404, "NAME_UNKNOWN")
    # A manifest of one repository is none of another, and `*` finds nothing.
    digest = world.nobody.get("/v2/lab/tool/manifests/1").headers["Docker-Content-Digest"]
    assert world.nobody.error(f"/v2/lab/other/manifests/{digest}") == (404, "MANIFEST_UNKNOWN")
    for path in ("/v2/x", "/v2/lab/tool", "/v2/lab/tool/manifests", "/v2/_other", "/v2//", "/v2/lab/tool/tags"):
        assert world.nobody.error(path) == (404, "UNSUPPORTED")
    for path in ("/v3/", "/v1/node"):
        assert world.nobody.get(path).status_code == 400, "that is for Shock to answer"


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_what_is_only_read(world: World, method: str) -> None:
    for path in ("/v2/", "/v2/token", "/v2/_catalog", "/v2/lab/tool/tags/list", f"/v2/lab/tool/blobs/{DIGEST}"):
        assert world.nobody.error(path, method=method) == (405, "UNSUPPORTED")
        assert world.nobody.get(path, method=method).headers["Allow"] == "GET, HEAD"


def test_who_deletes_is_told_how_a_name_is_taken_off(world: World) -> None:
    for path in ("/v2/lab/tool/manifests/1", f"/v2/lab/tool/blobs/{DIGEST}"):
        assert "`skyport-wf retire NAME` takes its name off" in world.nobody.get(path, method="DELETE").text


def test_two_nodes_of_one_name_are_none_as_for_awe(world: World) -> None:
    for image in (IMAGE, Image(())):
        publish(world.alice, world.folder, "lab/tool:1", image)
    answer = world.nobody.get("/v2/lab/tool/manifests/1")
    assert answer.status_code == 404
    assert "2 nodes have this name" in answer.text


@pytest.mark.parametrize(
    "change",
    [
        {"offset": -1},
        {"offset": 10**15},
        {"size": 0},
        {"size": -5},
        {"size": 10**15},
        {"diff_id": DIGEST},
        {"offset": "x"},
    ],
)
def test_ranges_that_make_no_sense_are_not_believed(world: World, change: dict[str, object]) -> None:
    node = publish(world.alice, world.folder, "lab/tool:1", IMAGE)
    attributes = world.alice.get(f"/node/{node}").json()["data"]["attributes"]
    (layer,) = attributes["skyport_wf"]["archive"]["layers"]
    layer.update(change)
    world.alice.put(f"/node/{node}", files={"attributes": ("a.json", json.dumps(attributes))})
    # The image itself is all right, so it is pulled as one without ranges is.
    assert world.nobody.pull("lab/tool", "1")[0] == IMAGE.config


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + bytes(100), bytes(10240)])
def test_a_node_that_holds_no_image(world: World, content: bytes) -> None:
    node = publish(world.alice, world.folder, "lab/tool:1", IMAGE)
    attributes = world.alice.get(f"/node/{node}").json()["data"]["attributes"]
    world.alice.delete(f"/node/{node}")
    other = world.alice.upload(content, attributes)["id"]
    world.alice.put(f"/node/{other}/acl/public_read")
    assert world.nobody.error("/v2/lab/tool/manifests/1") == (404, "MANIFEST_UNKNOWN")


def test_the_list_of_packages_refers_to_both_manifests(world: World) -> None:
    status = b"Package: tool\nStatus: install ok installed\nVersion: 1.2\nArchitecture: all\n\n"
    image = Image((layer_tar({"var/lib/dpkg/status": status, "etc/os-release": b"ID=debian\n"}),))
    publish(world.alice, world.folder, "lab/tool:1", image)
    for accept in (DOCKER_MANIFEST, OCI_MANIFEST):
        subject = world.nobody.get("/v2/lab/tool/manifests/1", Accept=accept).headers["Docker-Content-Digest"]
        answer = world.nobody.get(f"/v2/lab/tool/referrers/{subject}")
        assert answer.content_type == "application/vnd.oci.image.index.v1+json"
        (listed,) = json.loads(answer.data)["manifests"]
        assert listed["artifactType"] == "application/vnd.cyclonedx+json"
        for puller in (world.nobody, world.restarted()):
            artifact = puller.json(f"/v2/lab/tool/manifests/{listed['digest']}")
            assert artifact["subject"]["digest"] == subject
            assert artifact["artifactType"] == listed["artifactType"]
            assert puller.blob("lab/tool", artifact["config"]) == b"{}"
            (component,) = [
                found
                for found in json.loads(puller.blob("lab/tool", artifact["layers"][0]))["components"]
                if found["type"] == "library"
            ]
            assert component["purl"].startswith("pkg:deb/debian/tool@1.2")
        filtered = world.nobody.get(f"/v2/lab/tool/referrers/{subject}?artifactType=other/type")
        assert json.loads(filtered.data)["manifests"] == []
        assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
        # Nothing refers to the list itself.
        assert world.nobody.json(f"/v2/lab/tool/referrers/{listed['digest']}")["manifests"] == []


@pytest.mark.parametrize(("name", "who"), [("alice", "alice"), (None, None)])
@pytest.mark.parametrize("path", ["tags/list", "manifests/1", "manifests/unknown", "blobs/{}"])
def test_the_log_of_the_server_gets_the_owner_of_the_token(
    world: World, path: str, name: str | None, who: str | None
) -> None:
    publish(world.alice, world.folder, "a:1", IMAGE)
    blob = world.nobody.json("/v2/a/manifests/1")["layers"][0]["digest"]
    token = world.tokens[name] if name else "anonymous"
    environ = create_environ(f"/v2/a/{path.format(blob)}", headers={"Authorization": f"Bearer {token}"})
    # A server reads it there once the request is answered.
    for _ in world.app(environ, lambda status, headers, exc_info=None: lambda data: None):
        pass
    assert environ.get("REMOTE_USER") == who


def test_the_owner_of_a_token_is_asked_for_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    owner_of = EmbeddedBackend.owner_of

    def listen(backend: EmbeddedBackend, token: str) -> str:
        asked.append(token)
        return owner_of(backend, token)

    monkeypatch.setattr(EmbeddedBackend, "owner_of", listen)
    publish(world.alice, world.folder, "a:1", IMAGE)
    world.puller("alice").pull("a", "1")
    assert asked == [world.tokens["alice"]]
