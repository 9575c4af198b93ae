import hashlib

import pytest

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.store.users import add_user, find_by_name, find_by_token, find_or_create, list_users, renew_token
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL, WSGITransport
from tests.support.store_people import Person


def test_a_token_is_stored_as_its_hash_only(store):
    token = add_user(store.database, "alice")
    store.close()
    kept = b"".join(path.read_bytes() for path in store.folder.path.glob("shock.sqlite*"))
    assert token.encode() not in kept
    assert hashlib.sha256(token.encode()).digest() in kept


def test_tokens_are_long_and_different(store):
    tokens = {add_user(store.database, f"user{number}") for number in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 43


def test_a_token_finds_its_user(store):
    alice, bob = add_user(store.database, "alice"), add_user(store.database, "bob", admin=True, token="bobs-token")
    assert bob == "bobs-token"
    assert (find_by_token(store.database, alice).name, find_by_token(store.database, alice).admin) == ("alice", False)
    assert (find_by_token(store.database, bob).name, find_by_token(store.database, bob).admin) == ("bob", True)


@pytest.mark.parametrize("change", [str.upper, lambda t: t[:-1], lambda t: t + "x", lambda t: "", lambda t: t + "\0"])
def test_no_other_token_finds_anyone(change, store):
    token = add_user(store.database, "alice")
    assert find_by_token(store.database, change(token)) is None


def test_users_without_a_token_cannot_be_found_by_one(store):
    find_or_create(store.database, "alice")
    for guess in ("", "None", "alice", "\0"):
        assert find_by_token(store.database, guess) is None


@pytest.mark.parametrize(
    "name", ["", "public", "a b", "a,b", "a/b", "x" * 129, "a\nb", "\udc80", "00000000-0000-4000-8000-000000000000"]
)
def test_names_that_cannot_be_used(name, store):
    with pytest.raises(UsageError, match="cannot be used"):
        add_user(store.database, name)
    assert list_users(store.database) == ()


@pytest.mark.parametrize("token", ["", "short", "with space", "x" * 513, "größer-als"])
def test_tokens_that_cannot_be_used(token, store):
    with pytest.raises(UsageError, match="8 to 512"):
        add_user(store.database, "alice", token=token)
    assert list_users(store.database) == ()


def test_a_user_is_added_once(store):
    token = add_user(store.database, "alice")
    with pytest.raises(SkyportError, match="'alice' exists and has a token already"):
        add_user(store.database, "alice", admin=True)
    assert find_by_token(store.database, token).admin is False


@pytest.mark.parametrize("admin", [False, True])
def test_a_new_token_replaces_the_old_one(admin, store):
    old = add_user(store.database, "alice", admin=admin)
    new = renew_token(store.database, "alice")
    assert find_by_token(store.database, old) is None
    assert find_by_token(store.database, new) == find_by_name(store.database, "alice")
    assert find_by_name(store.database, "alice").admin is admin
    assert renew_token(store.database, "alice", token="chosen-token") == "chosen-token"
    assert find_by_token(store.database, "chosen-token").name == "alice"


def test_a_new_token_that_cannot_be_is_refused_and_the_old_one_stays(store):
    token = add_user(store.database, "alice")
    add_user(store.database, "bob", token="bobs-token")
    with pytest.raises(UsageError, match="8 to 512"):
        renew_token(store.database, "alice", token="short")
    with pytest.raises(SkyportError, match="another user has this token"):
        renew_token(store.database, "alice", token="bobs-token")
    with pytest.raises(SkyportError, match=r"there is no user 'carol'.*user add carol"):
        renew_token(store.database, "carol")
    assert find_by_token(store.database, token).name == "alice"
    assert [user.name for user in list_users(store.database)] == ["alice", "bob"]


def test_a_token_belongs_to_one_user(store):
    add_user(store.database, "alice", token="the-same-token")
    with pytest.raises(SkyportError, match="another user has this token"):
        add_user(store.database, "bob", token="the-same-token")
    assert find_by_name(store.database, "bob") is None


def test_the_caller_in_this_process_says_who_is_asking(store):
    app = ShockApp(store)
    session = Person(app, None).session
    session.mount(EMBEDDED_URL, WSGITransport(app, remote_user="carol"))
    node = session.post(f"{EMBEDDED_URL}/node", files={"upload": ("x", b"x")}).json()["data"]["id"]

    acl = session.get(f"{EMBEDDED_URL}/node/{node}/acl/").json()["data"]
    assert acl["owner"] == find_by_name(store.database, "carol").id
    # Her nodes stay hers when she gets a token for the server.
    assert Person(app, add_user(store.database, "carol")).get(f"/node/{node}").status_code == 200


def test_a_token_wins_over_the_caller_in_this_process(store, alice):
    session = alice.session
    session.mount(EMBEDDED_URL, WSGITransport(ShockApp(store), remote_user="carol"))
    node = alice.upload(b"x")["id"]
    assert alice.get(f"/node/{node}/acl/").json()["data"]["owner"] == find_by_name(store.database, "alice").id
    assert find_by_name(store.database, "carol") is None


@pytest.mark.parametrize("header", ["Remote-User", "REMOTE_USER", "Remote_User", "X-Remote-User", "Http-Remote-User"])
def test_no_header_says_who_is_asking(header, nobody, alice):
    node = alice.upload(b"x")["id"]
    assert nobody.get(f"/node/{node}", headers={header: "alice"}).status_code == 401
