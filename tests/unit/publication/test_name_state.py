import gzip
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from skyport_wf.errors import AlreadyPublishedError, ShockError, SkyportError, TemporaryError
from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication import name_state
from skyport_wf.publication.attributes import CLAIM_TYPE, describe_image, to_json_values
from skyport_wf.publication.claim import claim_name
from skyport_wf.publication.connection import Shock, open_shock
from skyport_wf.publication.name_state import Decision, decide, decide_now, wanted_image
from skyport_wf.publication.published import find_published, is_ours_alone, require_owner, why_not_ours_to_delete
from skyport_wf.publication.replacement import finish_replacement
from skyport_wf.publication.retire import restore, retire_all
from skyport_wf.publication.take_name import Candidate, take_name
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.failing_server import NODE, envelope, refusal
from tests.support.own_server import running_server
from tests.support.sample_records import IMAGE_ID, NAME, SOURCE_DIGEST, build_record, saved_archive

OURS = describe_image(build_record(), saved_archive(), registered="2024-02-03T04:05:06Z")
OTHER_ID = "sha256:" + "e" * 64
OTHER_DIGEST = "sha256:" + "f" * 64


@pytest.fixture
def there(opened: Shock):
    """Publish an image under the name, another one unless said otherwise; return its node."""

    def put_there(*, image_id: str = OTHER_ID, source_digest: str | None = OTHER_DIGEST) -> str:
        """Without a source digest, another tool made it."""
        assert OURS.skyport_wf is not None
        source = msgspec.structs.replace(OURS.skyport_wf.source, digest=source_digest or "")
        own = msgspec.structs.replace(OURS.skyport_wf, source=source) if source_digest else None
        node = put(opened.user, to_json_values(msgspec.structs.replace(OURS, id=image_id, skyport_wf=own)))
        opened.user.keep(node)
        opened.user.set_public(node, True)
        return node

    return put_there


@pytest.fixture
def decided(opened: Shock):
    """What publishing the image would do."""

    def decide_for(*, replace: bool = False, image_id: str | None = IMAGE_ID) -> Decision:
        return decide(opened, wanted_image(build_record(replace=replace), image_id=image_id))

    return decide_for


SAME_ID = {"image_id": IMAGE_ID}
SAME_SOURCE = {"source_digest": SOURCE_DIGEST}


def nodes(decision: Decision) -> tuple[str | None, tuple[str, ...]]:
    same = decision.names.same
    return same.id if same else None, tuple(node.id for node in decision.names.others)


def test_nothing_is_there(decided):
    assert nodes(decided()) == (None, ())
    assert (decided().state, decided().refusal) == ("not published", None)


@pytest.mark.parametrize("how", [SAME_ID, SAME_SOURCE, {"image_id": IMAGE_ID, "source_digest": None}])
def test_the_very_image_is_there(there, decided, how):
    node = there(**how)
    assert nodes(decided()) == (node, ())
    assert decided().is_done


def test_before_it_is_built_only_the_source_tells(there, decided):
    node = there(**SAME_SOURCE)
    assert nodes(decided(image_id=None)) == (node, ())


def test_an_id_tells_nothing_before_it_is_known(there, decided):
    there(**SAME_ID)
    assert isinstance(decided(image_id=None).refusal, AlreadyPublishedError)


@pytest.mark.parametrize("image_id", ["", IMAGE_ID[:-1]])
def test_an_id_that_is_not_the_same_is_another_image(there, decided, image_id):
    there(image_id=image_id, source_digest=None)
    assert decided().state == "name taken"
    assert isinstance(decided().refusal, AlreadyPublishedError)


def test_a_node_without_an_id_is_not_an_image_whose_id_is_not_known_yet(there, decided):
    there(image_id="", source_digest=None)
    assert isinstance(decided(image_id=None).refusal, AlreadyPublishedError)


def test_another_image_has_the_name(there, decided):
    node = there()
    assert str(decided().refusal) == (
        f"{NAME} is published already, as another image (node {node} with image {OTHER_ID}, registered "
        "2024-02-03T04:05:06Z). A published name stays what it is: give this image a new tag, or set `replace: true` "
        "for it in the image list."
    )
    with pytest.raises(AlreadyPublishedError):
        decided().require()


def test_several_others_are_all_named(there, decided):
    first, same, second = there(source_digest=None), there(**SAME_ID), there()
    message = str(decided().refusal)
    assert f"(node {first} with image {OTHER_ID}, node {second} with image {OTHER_ID})" in message
    assert same not in message


def test_with_leave_to_replace_the_others_have_to_go(there, decided):
    other = there()
    assert nodes(decided(replace=True)) == (None, (other,))
    assert (decided(replace=True).state, decided(replace=True).refusal) == ("to be replaced", None)
    same = there(**SAME_ID)
    assert nodes(decided(replace=True)) == (same, (other,))


def test_of_two_nodes_with_the_very_image_the_older_stays(there, decided):
    first, second = there(**SAME_ID), there(**SAME_SOURCE)
    assert nodes(decided()) == (first, (second,))
    assert decided().refusal is None
    other = there()
    assert nodes(decided(replace=True)) == (first, (other, second))


def test_an_image_whose_file_is_not_there_is_damaged(opened, decided):
    values = to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID))
    node = opened.user.create_empty(attributes=values, expiration="2D").id
    assert decided().state == "damaged"
    assert f"published on node {node}, whose file is not there" in str(decided().refusal)


def put(shock: ShockClient, attributes: dict[str, object]) -> str:
    return shock.create(lambda: [gzip.compress(b"x")], file_name="x.tar.gz", attributes=attributes, expiration="2D").id


def test_nodes_of_a_name_are_found_oldest_first(shock):
    nodes = [put(shock, to_json_values(msgspec.structs.replace(OURS, id=f"sha256:{n}"))) for n in range(3)]
    put(shock, to_json_values(msgspec.structs.replace(OURS, name="skyport/velvet:1.2.1")))
    put(shock, {**to_json_values(OURS), "type": "dockerimage-upload"})
    found = find_published(shock, NAME)
    assert [node.id for node in found] == nodes
    assert [node.attributes.id for node in found] == ["sha256:0", "sha256:1", "sha256:2"]
    assert find_published(shock, "skyport/velvet:9") == []


def test_a_damaged_node_blocks_its_name_unless_it_may_be_replaced(opened, decided):
    node = put(opened.user, {"type": "dockerimage", "name": NAME, "id": 5})
    assert [(found.id, found.damaged) for found in find_published(opened.user, NAME)] == [(node, True)]
    assert decided().state == "damaged"
    assert str(decided().refusal) == (
        f"node {node} says it is the Docker image {NAME}, but its attributes are damaged, and AWE workers fail on that "
        f"name. Retire it: `skyport-wf retire --node {node}`."
    )
    assert (decided(replace=True).state, nodes(decided(replace=True))) == ("to be replaced", (None, (node,)))


def test_a_refusal_that_is_not_about_rights_makes_nobody_another_user(failing_server, monkeypatch):
    monkeypatch.setenv("TOKEN_OF_ALICE", "secret")
    failing_server.answers = [envelope({"owner": "x", "public": {}}), refusal(507, "the disk is full")]
    with (
        open_shock(ShockSettings(url=failing_server.url, token_env="TOKEN_OF_ALICE")) as shock,
        pytest.raises(ShockError, match="the disk is full"),
    ):
        require_owner(shock, "n", NAME)


def test_a_server_that_keeps_no_attributes_lets_nobody_wait_for_his_own_claim(failing_server):
    failing_server.answers = [envelope([]), envelope(NODE)]
    with open_shock(ShockSettings(url=failing_server.url)) as shock:
        claim = claim_name(shock.user, NAME, public=True)
        with pytest.raises(ShockError, match="does not keep the attributes of nodes"), claim:
            pytest.fail("it was claimed")


class TestOwnership:
    @pytest.fixture
    def people(self, tmp_path, monkeypatch):
        """Two users of one server, and one without a token, where everyone may write."""
        with (
            open_store(tmp_path / "shock") as store,
            running_server(ShockApp(store, anonymous=frozenset({"read", "write"}))) as server,
        ):
            tokens = {name: add_user(store.database, name) for name in ("alice", "bob")}
            yield {
                name: self.client(monkeypatch, server.url, tokens.get(name, "")) for name in ("alice", "bob", "nobody")
            }

    def client(self, monkeypatch, url, token):
        monkeypatch.setenv(f"TOKEN_OF_{token[:8] or 'NOBODY'}", token)
        with open_shock(ShockSettings(url=url, token_env=f"TOKEN_OF_{token[:8] or 'NOBODY'}")) as shock:
            return shock

    def test_ones_own_node(self, people):
        alice = people["alice"]
        node = put(alice.user, to_json_values(OURS))
        for public in (False, True):
            alice.user.set_public(node, public)
            require_owner(alice, node, NAME)
            assert alice.user.read_access(node).public.read is public
            assert alice.everyone_reads(node) is public
            assert alice.may_change(node)

    def test_another_users_node(self, people):
        node = put(people["alice"].user, to_json_values(OURS))
        people["alice"].user.set_public(node, True)
        for name, told in {
            "bob": f"by another user (node {node}). Publish under another name, or ask the owner.",
            "nobody": f"already (node {node}), and may not be changed without a token. Put a token into "
            "TOKEN_OF_NOBODY, or use another name.",
        }.items():
            with pytest.raises(AlreadyPublishedError) as caught:
                require_owner(people[name], node, NAME)
            assert str(caught.value) == f"{NAME} is published {told}"
            assert not people[name].may_change(node)
            assert people[name].everyone_reads(node)
        assert people["alice"].user.read_access(node).public.read is True

    def test_whose_a_node_is_is_found_out_without_writing(self, people, monkeypatch):
        """A question that sets the rights to what they were undoes what another command sets meanwhile."""
        node = put(people["alice"].user, to_json_values(OURS))
        people["alice"].user.set_public(node, True)
        people["alice"].user._ask("PUT", f"/node/{node}/acl/read?users=bob")
        asked: list[str] = []
        dispatch = ShockApp.__call__

        def listen(app, environ, start_response):
            asked.append(environ["REQUEST_METHOD"])
            return dispatch(app, environ, start_response)

        monkeypatch.setattr(ShockApp, "__call__", listen)
        for name, own in (("alice", True), ("bob", False), ("nobody", False)):
            assert people[name].may_change(node) is own
            assert (why_not_ours_to_delete(people[name], node) == "") is own
            decide(people[name], wanted_image(build_record(replace=True)))
        assert set(asked) == {"GET"}

    def test_who_may_read_or_write_a_node_does_not_own_it(self, people):
        node = put(people["alice"].user, to_json_values(OURS))
        for right in ("read", "all"):
            people["alice"].user._ask("PUT", f"/node/{node}/acl/{right}?users=bob")
            assert not people["bob"].may_change(node)
            assert people["alice"].may_change(node)

    def test_another_users_damaged_node_is_told_with_who_can_help(self, people):
        node = put(people["bob"].user, {"type": "dockerimage", "name": NAME, "id": 5})
        people["bob"].user.set_public(node, True)
        decision = decide(people["alice"], wanted_image(build_record(replace=True)))
        assert decision.state == "damaged"
        assert "It is another user's: ask its owner, or an administrator of http://" in str(decision.refusal)

    def test_a_node_that_is_given_away_takes_no_name(self, people):
        """A node's owner may give it to anybody, who is not asked, and may still write to it."""
        alice, bob = people["alice"], people["bob"]
        own = put(alice.user, to_json_values(OURS))
        alice.user.set_public(own, True)
        facts = msgspec.structs.replace(OURS.skyport_wf, replaces=(own,))
        forged = put(bob.user, to_json_values(msgspec.structs.replace(OURS, id=OTHER_ID, skyport_wf=facts)))
        bob.user.set_public(forged, True)
        bob.user._ask("PUT", f"/node/{forged}/acl/owner?users=alice")
        assert alice.may_change(forged)
        assert {node.id for node in finish_replacement(alice, NAME)} == {own, forged}

    def test_a_node_that_was_given_away_is_not_its_owners_alone(self, people):
        alice, bob = people["alice"], people["bob"]
        node = put(bob.user, to_json_values(OURS))
        assert is_ours_alone(bob, node)
        assert not is_ours_alone(alice, node)
        bob.user._ask("PUT", f"/node/{node}/acl/owner?users=alice")
        assert why_not_ours_to_delete(alice, node) == ""
        assert not is_ours_alone(alice, node)
        for right in ("write", "delete"):
            alice.user._ask("DELETE", f"/node/{node}/acl/{right}?users=bob")
        assert is_ours_alone(alice, node)
        alice.user._ask("PUT", f"/node/{node}/acl/public_write")
        assert not is_ours_alone(alice, node)
        assert is_ours_alone(people["nobody"], put(people["nobody"].user, to_json_values(OURS)))

    @pytest.mark.parametrize("thief", ["bob", "nobody"])
    def test_another_users_node_takes_no_name_by_saying_that_it_replaces_others(self, people, thief):
        alice = people["alice"]
        own = put(alice.user, to_json_values(OURS))
        alice.user.set_public(own, True)
        assert OURS.skyport_wf is not None
        facts = msgspec.structs.replace(OURS.skyport_wf, replaces=(own,))
        forged = put(people[thief].user, to_json_values(msgspec.structs.replace(OURS, id=OTHER_ID, skyport_wf=facts)))
        if thief == "bob":
            people["bob"].user.set_public(forged, True)
            # Shock shows its lists to alice then.
            people["bob"].user._ask("PUT", f"/node/{forged}/acl/read?users=alice")
        assert {node.id for node in finish_replacement(alice, NAME)} == {own, forged}
        assert not alice.user.query({"type": CLAIM_TYPE})

    def test_ones_own_image_makes_no_room_for_anothers_that_says_it_is_the_same(self, people):
        forged, own = (put(people[name].user, to_json_values(OURS)) for name in ("bob", "alice"))
        people["bob"].user.set_public(forged, True)
        decision = decide(people["alice"], wanted_image(build_record(replace=True)))
        assert nodes(decision) == (forged, (own,))
        assert decision.state == "name taken"
        assert forged in str(decision.refusal)

    @pytest.mark.parametrize("theirs", [OURS, msgspec.structs.replace(OURS, id=OTHER_ID, skyport_wf=None)])
    @pytest.mark.parametrize("ours_first", [True, False])
    def test_a_name_of_ones_own_node_and_anothers_is_told_with_what_to_do(self, people, theirs, ours_first):
        """Both may be private, and one be opened to the other user later."""
        alice, bob = people["alice"], people["bob"]
        values = {bob: to_json_values(theirs), alice: to_json_values(OURS)}
        nodes = {one: put(one.user, values[one]) for one in ((alice, bob) if ours_first else (bob, alice))}
        bob.user._ask("PUT", f"/node/{nodes[bob]}/acl/read?users=alice")
        decision = decide(alice, wanted_image(build_record()))
        assert decision.state == "name taken"
        assert str(decision.refusal) == (
            f"2 nodes have the name {NAME}, and AWE workers take exactly one: {nodes[alice]}, which you may retire "
            f"(`skyport-wf retire {NAME} --node {nodes[alice]}`), and {nodes[bob]} of another user, whom "
            "you may ask to."
        )
        for node_id in (None, nodes[alice]):
            with pytest.raises(SkyportError, match=f"2 nodes have the name {NAME}"):
                restore(alice, NAME, node_id=node_id)
        retire_all(alice, [NAME], node_id=nodes[alice])
        assert "2 nodes" not in str(decide(alice, wanted_image(build_record())).refusal)

    def test_a_reader_takes_a_private_image_as_it_is(self, people):
        alice, bob = people["alice"], people["bob"]
        node = put(alice.user, to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID)))
        alice.user.keep(node)
        alice.user._ask("PUT", f"/node/{node}/acl/read?users=bob")
        build = build_record()
        candidate = Candidate(
            wanted=wanted_image(build), node=node, attributes=None, hidden={}, source=build.source, anew=""
        )
        receipt = take_name(candidate, bob)
        assert (receipt.node, receipt.readable_by) == (node, "listed users")

    def test_what_another_user_publishes_at_the_moment_is_waited_for(self, people):
        alice, bob = people["alice"], people["bob"]
        node = put(alice.user, to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID)))
        alice.user.set_public(node, True)
        upload = put(bob.user, {"type": "dockerimage-upload", "name": NAME})
        build = build_record()
        candidate = Candidate(
            wanted=wanted_image(build), node=upload, attributes=None, hidden={}, source=build.source, anew=""
        )
        with ThreadPoolExecutor() as bobs:
            with claim_name(alice.user, NAME, public=True):
                publishing = bobs.submit(take_name, candidate, bob)
                with pytest.raises(TimeoutError):
                    publishing.result(0.5)
                alice.user.keep(node)
            assert publishing.result().node == node
        assert bob.user.find(upload) is None

    def test_before_anything_is_made_it_is_waited_for_too(self, people, monkeypatch):
        alice, bob = people["alice"], people["bob"]
        node = put(alice.user, to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID)))
        alice.user.set_public(node, True)
        with pytest.raises(TemporaryError, match=f"{NAME} is being published by another user"):
            decide_now(bob, wanted_image(build_record()))
        monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "60")
        with ThreadPoolExecutor() as bobs:
            deciding = bobs.submit(decide_now, bob, wanted_image(build_record()))
            with pytest.raises(TimeoutError):
                deciding.result(0.1)
            alice.user.keep(node)
            decision = deciding.result()
        assert (decision.is_done, nodes(decision)) == (True, (node, ()))

    @pytest.mark.parametrize(("told_after", "times"), [(0.3, 1), (60.0, 0)])
    def test_that_it_is_waited_for_is_told_once_when_that_takes_long(
        self, people, monkeypatch, caplog, told_after, times
    ):
        alice, bob = people["alice"], people["bob"]
        node = put(alice.user, to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID)))
        alice.user.set_public(node, True)
        monkeypatch.setattr(name_state, "LONG_WAIT", told_after)
        monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "1")
        with pytest.raises(TemporaryError):
            decide_now(bob, wanted_image(build_record()))
        told = [line for line in caplog.messages if line.startswith(f"{NAME} is being published by another user")]
        assert [line.endswith("Waiting for up to 1 s until that is done.") for line in told] == [True] * times

    @pytest.mark.parametrize("public", [True, False])
    def test_who_may_read_what_is_published_is_asked_once(self, people, monkeypatch, public):
        alice = people["alice"]
        node = put(alice.user, to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID)))
        alice.user.keep(node)
        alice.user.set_public(node, public)
        build, read_access = build_record(), ShockClient.read_access
        wanted = msgspec.structs.replace(wanted_image(build), public=public)
        candidate = Candidate(wanted=wanted, node=node, attributes=None, hidden={}, source=build.source, anew="")
        asked: list[str] = []

        def listen(client, node_id):
            asked.append(node_id)
            return read_access(client, node_id)

        monkeypatch.setattr(ShockClient, "read_access", listen)
        receipt = take_name(candidate, alice)
        assert (receipt.node, receipt.readable_by) == (node, "everyone" if public else "listed users")
        assert asked == [node]

    def test_another_users_empty_file_is_his_to_retire(self, people):
        alice, bob = people["alice"], people["bob"]
        node = alice.user.create_empty(
            attributes=to_json_values(msgspec.structs.replace(OURS, id=IMAGE_ID)), expiration="1D"
        ).id
        alice.user.set_public(node, True)
        for shock, advice in (
            (alice, f"Retire it (skyport-wf retire {NAME}) and publish it again."),
            (bob, "It is another user's: ask its owner to mend it, or use another tag."),
        ):
            decision = decide(shock, wanted_image(build_record()))
            assert decision.state == "damaged"
            assert str(decision.refusal).endswith(f"whose file is not there. {advice}")

    def test_nobodys_node_is_everyones(self, people):
        node = put(people["nobody"].user, to_json_values(OURS))
        for shock in people.values():
            require_owner(shock, node, NAME)
            assert shock.may_change(node)
