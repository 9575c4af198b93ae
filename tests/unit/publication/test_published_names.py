"""The nodes of many names at once: the same as asking for each, with fewer questions."""

import logging

import msgspec
import pytest

from skyport_wf.image_list.spec import ShockSettings
from skyport_wf.publication.attributes import to_json_values
from skyport_wf.publication.connection import open_shock
from skyport_wf.publication.name_state import decide, wanted_image
from skyport_wf.publication.published import PublishedNames, find_published
from tests.support.failing_server import NODE, envelope
from tests.support.sample_records import build_record
from tests.unit.publication.test_name_state import OURS, put

NAMES = [f"lab/tool{number}:1" for number in range(10)]


@pytest.fixture
def asked(caplog):
    """The requests that are sent to Shock from now on."""
    caplog.set_level(logging.DEBUG, logger="skyport_wf.shock.connection")

    def requests() -> list[str]:
        return [" ".join(map(str, record.args[:2])) for record in caplog.records if isinstance(record.args, tuple)]

    return requests


def publish(opened, name: str, *, public: bool = True, **changes: object) -> str:
    node = put(opened.user, {**to_json_values(msgspec.structs.replace(OURS, name=name)), **changes})
    opened.user.keep(node)
    opened.user.set_public(node, public)
    return node


def state(opened, name: str, names: PublishedNames) -> str:
    build = msgspec.structs.replace(build_record(), name=name)
    return decide(opened, wanted_image(build), names.find(name)).state


def test_a_listing_finds_what_asking_for_each_name_finds(opened, asked):
    for name in (*NAMES[:8], NAMES[3], "lab/another:1"):
        publish(opened, name)
    private = publish(opened, NAMES[8], public=False)
    before = len(asked())
    names = PublishedNames(opened, NAMES)
    found = {name: [node.id for node in names.find(name)] for name in NAMES}
    assert asked()[before:] == ["GET /node"] * 3
    assert found == {name: [node.id for node in find_published(opened.user, name)] for name in NAMES}
    assert [len(found[name]) for name in (NAMES[3], NAMES[9])] == [2, 0]
    assert found[NAMES[8]] == [private]


def test_readers_are_asked_for_only_where_the_listing_of_what_everyone_reads_lacks_a_node(opened, asked):
    nodes = [publish(opened, name, public=name != NAMES[1]) for name in NAMES]
    names = PublishedNames(opened, NAMES)
    before = len(asked())
    states = [state(opened, name, names) for name in NAMES]
    assert states == ["published", "other readers", *["published"] * 8]
    assert set(asked()[before:]) == {f"GET /node/{nodes[1]}/acl/"}


@pytest.mark.slow
def test_among_many_others_the_beginning_of_the_names_is_asked_for(opened, asked):
    listed, others = [name.replace("lab/", "my/") for name in NAMES[:9]], 9 * 5
    nodes = [publish(opened, name) for name in listed]
    for number in range(others):
        put(opened.user, to_json_values(msgspec.structs.replace(OURS, name=f"lab/other{number}:1")))
    before = len(asked())
    names = PublishedNames(opened, listed)
    assert [[node.id for node in names.find(name)] for name in listed] == [[node] for node in nodes]
    assert asked()[before:] == ["GET /node"] * 4
    # Where that would bring as many, each name is asked for.
    mixed = PublishedNames(opened, [*listed[:-1], "lab/other1:1"])
    before = len(asked())
    assert [node.id for node in mixed.find(listed[0])] == nodes[:1]
    assert asked()[before:] == ["GET /node"]


def test_a_damaged_node_is_told_with_its_own_name_only(opened):
    for name in NAMES[1:]:
        publish(opened, name)
    node = publish(opened, NAMES[0], id=5)
    names = PublishedNames(opened, NAMES)
    assert len(names.find(NAMES[1])) == 1
    assert [(found.id, found.damaged) for found in names.find(NAMES[0])] == [(node, True)]


def test_a_node_that_a_list_of_names_finds_is_damaged(opened):
    for name in NAMES[2:]:
        publish(opened, name)
    node = publish(opened, [NAMES[0], NAMES[1], 5], type=["dockerimage"])
    names = PublishedNames(opened, NAMES)
    for name in NAMES[:2]:
        for found in (names.find(name), find_published(opened.user, name)):
            assert [(one.id, one.damaged, one.attributes.name) for one in found] == [(node, True, name)]
        assert state(opened, name, names) == "damaged"
    assert state(opened, NAMES[2], names) == "published"


def test_a_node_without_attributes_that_a_query_finds_is_damaged(failing_server):
    """As of a Shock that keeps a list of objects as attributes: MongoDB finds it by those."""
    odd = {**NODE, "attributes": [{"type": "dockerimage", "name": NAMES[0]}]}
    failing_server.answers = [envelope([odd], total_count=1)]
    with open_shock(ShockSettings(url=failing_server.url)) as shock:
        for names in (NAMES[:1], NAMES):
            (found,) = PublishedNames(shock, names).find(NAMES[0])
            assert (found.id, found.damaged) == (NODE["id"], True)


def test_few_names_are_asked_for_one_by_one_when_they_are_wanted(opened, asked):
    node = publish(opened, NAMES[0])
    before = len(asked())
    names = PublishedNames(opened, NAMES[:8])
    assert asked()[before:] == []
    assert [found.id for found in names.find(NAMES[0])] == [node]
