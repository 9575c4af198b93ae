"""Every route for every kind of user: who is let through, and with which status others are sent away."""

import pytest
from store_people import Person

from skyport_wf.store.app import ShockApp
from skyport_wf.store.users import add_user

PEOPLE = ("owner", "admin", "reader", "writer", "deleter", "stranger", "anonymous")

# One line a route, one column a person. 401 is what Shock answers to a known user without the right, too.
PRIVATE_NODE = """
route            owner admin reader writer deleter stranger anonymous
read             200   200   200    401    401     401      401
download         200   200   200    401    401     401      401
query            1     1     1      0      0       0        0
querynode        1     1     1      0      0       0        0
list             1     1     1      0      0       0        0
attributes       200   200   401    200    401     401      401
file_name        200   200   401    200    401     401      401
expiration       200   200   401    401    401     401      401
copy             200   200   200    400    400     400      400
read_acl         200   200   200    401    401     401      401
read_typed_acl   200   200   200    401    401     401      401
public_read      200   200   400    400    400     400      401
no_public_read   200   200   400    400    400     400      401
grant            200   200   400    400    400     400      401
take_from_other  200   200   400    400    400     400      401
new_owner        200   200   400    400    400     400      401
delete           200   200   401    401    200     401      401
"""

# Where everyone may do everything: a user needs no right of their own, but nobody else changes the ACL.
PUBLIC_NODE = """
route            owner admin reader writer deleter stranger anonymous
read             200   200   200    200    200     200      200
download         200   200   200    200    200     200      200
query            1     1     1      1      1       1        1
attributes       200   200   200    200    200     200      200
expiration       200   200   200    200    200     200      200
copy             200   200   200    200    200     200      200
read_acl         200   200   200    200    200     200      200
public_read      200   200   400    400    400     400      401
grant            200   200   400    400    400     400      401
delete           200   200   200    200    200     200      200
"""

# The same public node, where the server allows anonymous users nothing at all, or only to read.
ANONYMOUS_ROUTES = """
route       nothing read
read        401     200
download    401     200
query       401     1
list        401     1
read_acl    401     200
attributes  401     401
copy        401     401
create      401     401
delete      401     401
"""


def _table(text: str) -> list[tuple[str, str, int]]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return [(route, who, int(status)) for route, *row in lines for who, status in zip(header[1:], row, strict=True)]


def _outcome(person: Person, route: str, node: str) -> int:
    """Take a route, and return its status; of a list, how many nodes it shows."""
    queries = {"query": "query&k=v", "querynode": "querynode&attributes.k=v", "list": ""}
    if route in queries:
        response = person.get(f"/node?{queries[route]}")
        return response.json()["total_count"] if response.status_code == 200 else response.status_code
    method, path, fields = {
        "read": ("GET", f"/node/{node}", None),
        "download": ("GET", f"/node/{node}?download", None),
        "create": ("POST", "/node", {"attributes_str": (None, "{}")}),
        "attributes": ("PUT", f"/node/{node}", {"attributes_str": (None, "{}")}),
        "file_name": ("PUT", f"/node/{node}", {"file_name": (None, "x")}),
        "expiration": ("PUT", f"/node/{node}", {"expiration": (None, "1D")}),
        "copy": ("POST", "/node", {"copy_data": (None, node)}),
        "read_acl": ("GET", f"/node/{node}/acl/", None),
        "read_typed_acl": ("GET", f"/node/{node}/acl/read", None),
        "public_read": ("PUT", f"/node/{node}/acl/public_read", None),
        "no_public_read": ("DELETE", f"/node/{node}/acl/public_read", None),
        "grant": ("PUT", f"/node/{node}/acl/write?users=stranger", None),
        "take_from_other": ("DELETE", f"/node/{node}/acl/read?users=owner", None),
        "new_owner": ("PUT", f"/node/{node}/acl/owner?users=stranger", None),
        "delete": ("DELETE", f"/node/{node}", None),
    }[route]
    return person.call(method, path, files=fields).status_code


@pytest.fixture
def people(store):
    app = ShockApp(store, anonymous=frozenset({"read", "write", "delete"}))
    tokens = {name: add_user(store.database, name, admin=name == "admin") for name in PEOPLE if name != "anonymous"}
    return {name: Person(app, tokens.get(name)) for name in PEOPLE}


@pytest.fixture
def private_node(people):
    node = people["owner"].upload(b"secret", {"k": "v"})["id"]
    for right, name in (("read", "reader"), ("write", "writer"), ("delete", "deleter")):
        assert people["owner"].put(f"/node/{node}/acl/{right}?users={name}").status_code == 200
    return node


@pytest.mark.parametrize(("route", "who", "expected"), _table(PRIVATE_NODE))
def test_private_node(route, who, expected, people, private_node):
    before = people["admin"].get(f"/node/{private_node}/acl/").json()["data"], people["admin"].find("query&k=v")

    assert _outcome(people[who], route, private_node) == expected

    if expected >= 400:
        after = people["admin"].get(f"/node/{private_node}/acl/").json()["data"], people["admin"].find("query&k=v")
        assert after == before


@pytest.mark.parametrize(("route", "who", "expected"), _table(PUBLIC_NODE))
def test_public_node(route, who, expected, people, private_node):
    assert people["owner"].put(f"/node/{private_node}/acl/public_all").status_code == 200
    assert _outcome(people[who], route, private_node) == expected


@pytest.mark.parametrize(("route", "allowed", "expected"), _table(ANONYMOUS_ROUTES))
def test_what_the_server_allows_anonymous_users(route, allowed, expected, people, private_node, store):
    assert people["owner"].put(f"/node/{private_node}/acl/public_all").status_code == 200
    anonymous = Person(ShockApp(store, anonymous=frozenset({allowed} - {"nothing"})), None)
    assert _outcome(anonymous, route, private_node) == expected


@pytest.mark.parametrize("who", PEOPLE)
def test_a_part_needs_the_right_to_write(who, people):
    node = people["owner"].upload(parts="2")["id"]
    for right, name in (("read", "reader"), ("write", "writer"), ("delete", "deleter")):
        people["owner"].put(f"/node/{node}/acl/{right}?users={name}")

    status = people[who].put(f"/node/{node}", files={"1": ("one", b"1")}).status_code

    assert status == (200 if who in ("owner", "admin", "writer") else 401)
    assert people["owner"].get(f"/node/{node}").json()["data"]["parts"]["length"] == (status == 200)


def test_users_can_remove_themselves(people, private_node):
    assert people["reader"].delete(f"/node/{private_node}/acl/read?users=reader").status_code == 200
    assert people["reader"].get(f"/node/{private_node}").status_code == 401


def test_a_copy_belongs_to_who_made_it(people, private_node):
    copy = people["reader"].upload(copy_data=private_node, copy_attributes="1")
    assert people["reader"].get(f"/node/{copy['id']}?download").content == b"secret"
    assert people["owner"].get(f"/node/{copy['id']}").status_code == 401


def test_a_query_counts_only_what_the_user_may_read(people):
    for number in range(30):
        people["owner" if number % 2 else "stranger"].upload(attributes={"k": "v"})
    page = people["owner"].get("/node?query&k=v&limit=4").json()
    assert (page["total_count"], len(page["data"])) == (15, 4)


def test_acl_queries_show_nothing_more(people, private_node):
    assert people["stranger"].find("querynode&owner=owner") == []
    assert [node["id"] for node in people["reader"].find("querynode&owner=owner")] == [private_node]
    assert [node["id"] for node in people["reader"].find("querynode&read=reader")] == [private_node]
    assert people["reader"].find("querynode&public_read=1") == []
    assert people["reader"].find("querynode&owner=nobody-knows") == []


def test_naming_an_unknown_user_makes_one_who_can_come_later(people, private_node, store):
    assert people["owner"].put(f"/node/{private_node}/acl/read?users=newcomer").status_code == 200
    newcomer = Person(ShockApp(store), add_user(store.database, "newcomer"))
    assert newcomer.get(f"/node/{private_node}").status_code == 200


def test_removing_an_unknown_user_makes_none(people, private_node, store):
    from skyport_wf.store.users import find_by_name

    assert people["owner"].delete(f"/node/{private_node}/acl/read?users=ghost").status_code == 200
    assert find_by_name(store.database, "ghost") is None
