import datetime

import msgspec
import pytest

from skyport_wf.store.access import OURSELVES
from skyport_wf.store.database import is_uuid
from skyport_wf.store.garbage import collect_garbage
from skyport_wf.store.opening import open_store


def _age(store, node):
    """Let a node's time be over."""
    with store.database.write() as connection:
        connection.execute("UPDATE node SET expiration = '2001-01-01T00:00:00.000000Z' WHERE id = ?", (node,))


def _on_disk(store):
    return [path.name for path in store.files]


@pytest.mark.parametrize(("text", "minutes"), [("90M", 90), ("3H", 180), ("2D", 2880)])
def test_expiration_is_counted_from_now(text, minutes, alice):
    before = datetime.datetime.now(datetime.UTC)
    node = alice.upload(b"x", expiration=text)
    moment = datetime.datetime.fromisoformat(node["expiration"])
    wanted = before + datetime.timedelta(minutes=minutes)
    assert datetime.timedelta(0) <= moment - wanted < datetime.timedelta(minutes=1)


def test_an_expired_node_is_nowhere(alice, store):
    node = alice.upload(b"x", {"k": "v"}, expiration="1H")["id"]
    copy = alice.upload(b"y", {"k": "v"})["id"]
    _age(store, node)

    for method, path in [
        ("GET", ""),
        ("GET", "?download"),
        ("GET", "/acl/"),
        ("DELETE", ""),
        ("PUT", "/acl/public_read"),
    ]:
        assert alice.call(method, f"/node/{node}{path}").status_code == 404
    assert alice.put(f"/node/{node}", files={"remove_expiration": (None, "1")}).status_code == 404
    assert alice.call("POST", "/node", files={"copy_data": (None, node)}).status_code == 404
    page = alice.get("/node?query&k=v").json()
    assert ([found["id"] for found in page["data"]], page["total_count"]) == ([copy], 1)


def test_reaping_removes_expired_nodes_with_their_files(alice, store):
    kept = alice.upload(b"kept", expiration="1H")["id"]
    for _ in range(3):
        _age(store, alice.upload(b"gone", expiration="1H")["id"])

    assert store.reap() == 3
    assert store.reap() == 0
    assert len(_on_disk(store)) == 1
    assert alice.get(f"/node/{kept}?download").content == b"kept"


def test_opening_reaps(alice, store):
    _age(store, alice.upload(b"gone", expiration="1H")["id"])
    open_store(store.folder.path).close()
    assert _on_disk(store) == []


def test_a_node_whose_expiration_was_removed_stays(alice, store):
    node = alice.upload(b"x", expiration="1M")["id"]
    shown = alice.put(f"/node/{node}", files={"remove_expiration": (None, "1")}).json()["data"]
    assert shown["expiration"].startswith("0001")
    assert store.reap() == 0


def test_a_copy_shares_the_file_and_outlives_its_source(alice, store):
    source = alice.upload(b"content", {"k": "v"})["id"]
    copy = alice.upload(copy_data=source)
    assert (copy["type"], copy["attributes"]) == ("copy", None)
    assert len(_on_disk(store)) == 1

    alice.delete(f"/node/{source}")
    assert alice.get(f"/node/{copy['id']}?download").content == b"content"
    alice.delete(f"/node/{copy['id']}")
    assert _on_disk(store) == []


def test_a_download_that_has_begun_survives_the_deletion(alice):
    content = b"0123456789" * 100_000
    node = alice.upload(content)["id"]
    with alice.get(f"/node/{node}?download", stream=True) as response:
        start = response.raw.read(10)
        assert alice.delete(f"/node/{node}").status_code == 200
        assert start + response.raw.read() == content


def test_a_file_can_be_added_to_a_node_once(alice, store):
    node = alice.upload(attributes={"k": "v"})["id"]
    assert alice.put(f"/node/{node}", files={"upload": ("a", b"first")}).json()["data"]["file"]["size"] == 5
    assert alice.put(f"/node/{node}", files={"upload": ("b", b"second")}).status_code == 400
    assert alice.put(f"/node/{node}", files={"1": ("b", b"second")}).status_code == 400
    assert alice.put(f"/node/{node}", files={"copy_data": (None, node)}).status_code == 400
    assert alice.get(f"/node/{node}?download").content == b"first"
    assert len(_on_disk(store)) == 1


def test_the_name_given_in_the_form_wins(alice):
    assert alice.upload(b"x", file_name="given")["file"]["name"] == "given"


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd"])
def test_a_file_name_with_folders_is_only_a_name(name, alice, store):
    node = alice.call("POST", "/node", files={"upload": (name, b"x")}).json()["data"]
    assert "/" not in node["file"]["name"]
    assert "\\" not in node["file"]["name"]
    assert all(is_uuid(path.name) for path in store.files)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("v.tar.gz", "attachment; filename=v.tar.gz"),
        ('a"b c.gz', r'attachment; filename="a\"b c.gz"'),
        ("a\r\nSet-Cookie: x", 'attachment; filename="a__Set-Cookie: x"'),
        ("größe", "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe"),
    ],
)
def test_a_file_name_cannot_leave_its_header(name, header, alice):
    node = alice.upload(b"x", file_name=name)["id"]
    response = alice.get(f"/node/{node}?download")
    assert response.headers["Content-Disposition"] == header
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("seek=3", b"3456789"),
        ("seek=3&length=2", b"34"),
        ("length=0", b""),
        ("seek=10", b""),
        ("seek=99&length=5", b""),
    ],
)
def test_partial_downloads(arguments, expected, alice):
    node = alice.upload(b"0123456789")["id"]
    response = alice.get(f"/node/{node}?download&{arguments}")
    assert (response.content, response.headers["Content-Length"]) == (expected, str(len(expected)))


def test_head_answers_like_get_without_a_body(alice):
    node = alice.upload(b"0123456789")["id"]
    response = alice.call("HEAD", f"/node/{node}?download")
    assert (response.status_code, response.content, response.headers["Content-Length"]) == (200, b"", "10")


def test_any_word_before_the_token_will_do(alice, app):
    token = alice.session.headers["Authorization"].split()[1]
    node = alice.upload(b"x")["id"]
    for word in ("OAuth", "oauth", "bearer", "Bearer", "mgrast"):
        alice.session.headers["Authorization"] = f"{word} {token}"
        assert alice.get(f"/node/{node}").status_code == 200
    for header in (token, "OAuth", "", f"OAuth {token}x", f"OAuth {token[:-1]}"):
        alice.session.headers["Authorization"] = header
        assert alice.get(f"/node/{node}").status_code == 400


def test_the_description_says_what_and_where(nobody, store):
    from skyport_wf.store.wsgi.app import ShockApp
    from tests.support.store_people import Person

    described = nobody.get("/").json()
    assert (described["id"], described["type"], described["resources"]) == ("Shock", "Shock", ["node"])
    assert described["anonymous_permissions"] == {"read": True, "write": False, "delete": False}
    assert described["url"] == "http+embedded://store/"
    named = Person(ShockApp(store, public_url="https://shock.example.org/api"), None)
    assert named.get("/").json()["url"] == "https://shock.example.org/api/"


def test_what_shock_can_do_and_this_cannot_is_said(alice):
    node = alice.upload(b"x")["id"]
    for refused, what in (
        (alice.get("/node?download_url"), "download_url without query or querynode is"),
        (alice.get(f"/node/{node}?download&index=size&part=1"), "index is"),
        (alice.get(f"/node/{node}?download&filter=fq2fa"), "filter is"),
        (alice.get(f"/node/{node}?download&compression=bzip2"), "compression 'bzip2' is"),
        (alice.get(f"/node/{node}?download_url&compression=xz"), "compression 'xz' is"),
        (alice.get("/node?query&download_url&archive=tar.gz"), "archive format 'tar.gz' is"),
        (alice.get(f"/node/{node}?download_post"), "download_post is"),
        (alice.get(f"/node/{node}/acl/?verbosity=full"), "verbosity is"),
        (alice.put(f"/node/{node}/acl/public_read?verbosity=full"), "verbosity is"),
        (alice.get("/node?query&type=dockerimage&distinct=name"), "distinct is"),
        (alice.get("/node?querynode&distinct=owner"), "distinct is"),
        (alice.call("POST", f"/node/{node}/locations"), "locations are"),
        (alice.call("POST", "/node", files={"parent_node": (None, node)}), "param"),
        (alice.put(f"/node/{node}", files={"linkage": (None, "parent")}), "param"),
    ):
        assert refused.status_code == 400
        (message,) = refused.json()["error"]
        assert message.startswith(f"{what} not supported by this server")


def test_everything_survives_closing(alice, store, tmp_path):
    node = alice.upload(b"content", {"k": {"deep": [1, 2.5, None, "é"]}}, tags="a,b", priority="3", format="gz")
    before = alice.get(f"/node/{node['id']}").json()["data"]
    store.close()
    with open_store(store.folder.path) as again:
        kept = again.read(node["id"], OURSELVES)
        assert msgspec.json.decode(kept.attributes) == {"k": {"deep": [1, 2.5, None, "é"]}}
        assert (kept.tags, kept.priority, kept.file_format) == (("a", "b"), 3, "gz")
        assert kept.last_modified == ""
        assert before["created_on"] == kept.created_on
        assert collect_garbage(again, remove=False) == ()


def test_web_pages_may_ask_with_a_token_that_they_know(nobody):
    response = nobody.call("OPTIONS", "/node")
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "PUT" in response.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in response.headers
