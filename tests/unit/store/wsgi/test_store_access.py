"""Every route for every kind of user: who is let through, and with which status others are sent away."""

import pytest

from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import _MAP, ShockApp
from tests.support.store_people import Person

PEOPLE = ("owner", "admin", "reader", "writer", "deleter", "stranger", "anonymous")

# One line a route, one column a person. 401 is what Shock answers to a known user without the right, too.
PRIVATE_NODE = """
route            owner admin reader writer deleter stranger anonymous
read             200   200   200    401    401     401      401
head             200   200   200    401    401     401      401
download         200   200   200    401    401     401      401
download_raw     200   200   200    401    401     401      401
download_some    200   200   200    401    401     401      401
query            1     1     1      0      0       0        0
querynode        1     1     1      0      0       0        0
query_md5        1     1     1      0      0       0        0
query_ordered    1     1     1      0      0       0        0
query_not        1     1     1      0      0       0        0
list             3     3     3      0      0       0        0
attributes       200   200   401    200    401     401      401
attributes_file  200   200   401    200    401     401      401
file_name        200   200   401    200    401     401      401
expiration       200   200   401    401    401     401      401
no_expiration    200   200   401    200    401     401      401
part             200   200   401    200    401     401      401
close_parts      200   200   401    200    401     401      401
upload           200   200   401    200    401     401      401
copy             200   200   200    400    400     400      400
copy_attributes  200   200   200    400    400     400      400
copy_here        200   200   401    400    401     401      401
read_acl         200   200   200    401    401     401      401
read_typed_acl   200   200   200    401    401     401      401
public_read      200   200   400    400    400     400      401
post_public_all  200   200   400    400    400     400      401
no_public_read   200   200   400    400    400     400      401
grant            200   200   400    400    400     400      401
post_grant       200   200   400    400    400     400      401
take_from_other  200   200   400    400    400     400      401
new_owner        200   200   400    400    400     400      401
delete           200   200   401    401    200     401      401
"""

# Published, as an image is: everyone reads it, and nobody does more than before.
PUBLISHED_NODE = """
route            owner admin reader writer deleter stranger anonymous
read             200   200   200    200    200     200      200
head             200   200   200    200    200     200      200
download         200   200   200    200    200     200      200
download_raw     200   200   200    200    200     200      200
download_some    200   200   200    200    200     200      200
query            1     1     1      1      1       1        1
querynode        1     1     1      1      1       1        1
query_md5        1     1     1      1      1       1        1
query_ordered    1     1     1      1      1       1        1
list             3     3     3      3      3       3        3
attributes       200   200   401    200    401     401      401
file_name        200   200   401    200    401     401      401
expiration       200   200   401    401    401     401      401
part             200   200   401    200    401     401      401
close_parts      200   200   401    200    401     401      401
upload           200   200   401    200    401     401      401
copy             200   200   200    200    200     200      200
copy_attributes  200   200   200    200    200     200      200
copy_here        200   200   401    200    401     401      401
read_acl         200   200   200    200    200     200      200
read_typed_acl   200   200   200    200    200     200      200
no_public_read   200   200   400    400    400     400      401
grant            200   200   400    400    400     400      401
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
part             200   200   200    200    200     200      200
upload           200   200   200    200    200     200      200
copy             200   200   200    200    200     200      200
copy_here        200   200   200    200    200     200      200
read_acl         200   200   200    200    200     200      200
public_read      200   200   400    400    400     400      401
no_public_read   200   200   400    400    400     400      401
grant            200   200   400    400    400     400      401
new_owner        200   200   400    400    400     400      401
delete           200   200   200    200    200     200      200
"""

# The same public node, where the server allows anonymous users nothing at all, or only to read.
ANONYMOUS_ROUTES = """
route           nothing read
read            401     200
head            401     200
download        401     200
download_raw    401     200
query           401     1
querynode       401     1
list            401     3
read_acl        401     200
read_typed_acl  401     200
attributes      401     401
file_name       401     401
expiration      401     401
part            401     401
close_parts     401     401
upload          401     401
copy            401     401
copy_here       401     401
create          401     401
public_read     401     401
grant           401     401
delete          401     401
"""

_CONTENT = b"secret"
_MD5 = "5ebe2294ecd0e0f08eab7690d2a6ee69"
QUERIES = {
    "query": "query&k=v",
    "querynode": "querynode&attributes.k=v",
    "query_md5": f"querynode&file.checksum.md5={_MD5}",
    "query_ordered": "query&k=v&order=k&direction=asc",
    "query_not": "querynode&attributes.k=v&file.name=!x",
    "list": "",
}
# Method, path, form. Of each person's nodes {file} has a file, {parts} waits for parts, {empty} has no file.
ROUTES = {
    "read": ("GET", "/node/{file}", None),
    "head": ("HEAD", "/node/{file}", None),
    "download": ("GET", "/node/{file}?download", None),
    "download_raw": ("GET", "/node/{file}?download_raw", None),
    "download_some": ("GET", "/node/{file}?download&seek=1&length=2", None),
    "create": ("POST", "/node", {"attributes_str": (None, "[]")}),
    "attributes": ("PUT", "/node/{file}", {"attributes_str": (None, "[]")}),
    "attributes_file": ("PUT", "/node/{file}", {"attributes": ("a.json", b"{}")}),
    "file_name": ("PUT", "/node/{file}", {"file_name": (None, "x")}),
    "expiration": ("PUT", "/node/{file}", {"expiration": (None, "1D")}),
    "no_expiration": ("PUT", "/node/{file}", {"remove_expiration": (None, "1")}),
    "part": ("PUT", "/node/{parts}", {"1": ("one", b"1")}),
    "close_parts": ("PUT", "/node/{parts}", {"parts": (None, "close")}),
    "upload": ("PUT", "/node/{empty}", {"upload": ("f", b"x")}),
    "copy": ("POST", "/node", {"copy_data": (None, "{file}")}),
    "copy_attributes": ("POST", "/node", {"copy_data": (None, "{file}"), "copy_attributes": (None, "1")}),
    "copy_here": ("PUT", "/node/{empty}", {"copy_data": (None, "{file}")}),
    "read_acl": ("GET", "/node/{file}/acl/", None),
    "read_typed_acl": ("GET", "/node/{file}/acl/read", None),
    "public_read": ("PUT", "/node/{file}/acl/public_read", None),
    "post_public_all": ("POST", "/node/{file}/acl/public_all", None),
    "no_public_read": ("DELETE", "/node/{file}/acl/public_read", None),
    "grant": ("PUT", "/node/{file}/acl/write?users=stranger", None),
    "post_grant": ("POST", "/node/{file}/acl/all?users=stranger", None),
    "take_from_other": ("DELETE", "/node/{file}/acl/read?users=owner", None),
    "new_owner": ("PUT", "/node/{file}/acl/owner?users=stranger", None),
    "delete": ("DELETE", "/node/{file}", None),
} | {name: ("GET", f"/node?{query}", None) for name, query in QUERIES.items()}


def _table(text: str) -> list[tuple[str, str, int]]:
    header, *lines = (line.split() for line in text.strip().splitlines())
    return [(route, who, int(status)) for route, *row in lines for who, status in zip(header[1:], row, strict=True)]


def _send(person: Person, route: str, nodes: dict[str, str]):
    method, path, form = ROUTES[route]
    fields = {
        name: (file, value.format(**nodes) if isinstance(value, str) else value)
        for name, (file, value) in (form or {}).items()
    }
    return person.call(method, path.format(**nodes), files=fields or None)


def _outcome(person: Person, route: str, nodes: dict[str, str]) -> int:
    """Take a route, and return its status; of a list, how many nodes it shows."""
    response = _send(person, route, nodes)
    return response.json()["total_count"] if route in QUERIES and response.ok else response.status_code


@pytest.fixture
def people(store):
    app = ShockApp(store, anonymous=frozenset({"read", "write", "delete"}))
    tokens = {name: add_user(store.database, name, admin=name == "admin") for name in PEOPLE if name != "anonymous"}
    tokens["impostor"] = "a-token-that-nobody-has"
    return {name: Person(app, tokens.get(name)) for name in (*PEOPLE, "impostor")}


@pytest.fixture
def nodes(people):
    """Nodes of the owner's; each of the other people has one right."""
    owner = people["owner"]
    nodes = {
        "file": owner.upload(_CONTENT, {"k": "v"})["id"],
        "parts": owner.upload(parts="unknown")["id"],
        "empty": owner.upload()["id"],
    }
    owner.put(f"/node/{nodes['parts']}", files={"2": ("two", b"2")})
    for node in nodes.values():
        for right, name in (("read", "reader"), ("write", "writer"), ("delete", "deleter")):
            assert owner.put(f"/node/{node}/acl/{right}?users={name}").status_code == 200
    return nodes


@pytest.fixture
def private_node(nodes):
    return nodes["file"]


def _everything(people, nodes):
    """Return all there is to know about the nodes."""
    return [people["admin"].get(f"/node/{node}{what}").json() for node in nodes.values() for what in ("", "/acl/")]


def _publish(people, nodes, kind):
    for node in nodes.values():
        assert people["owner"].put(f"/node/{node}/acl/{kind}").status_code == 200


def test_every_route_there_is_has_a_line():
    routes = {(rule.endpoint, method) for rule in _MAP.iter_rules() for method in rule.methods - {"OPTIONS"}}
    taken = {
        (_MAP.bind("").match(path.partition("?")[0].format(file="x", parts="x", empty="x"), method)[0], method)
        for method, path, _ in ROUTES.values()
    }
    untaken = {("describe", "GET"), ("describe", "HEAD"), ("list", "HEAD"), ("read_acl", "HEAD")}
    assert routes - taken == untaken | {("read_typed_acl", "HEAD")}
    assert {route for route, _, _ in _table(PRIVATE_NODE)} == set(ROUTES) - {"create"}


@pytest.mark.parametrize(("route", "who", "expected"), _table(PRIVATE_NODE))
def test_private_node(route, who, expected, people, nodes):
    before = _everything(people, nodes)
    assert _outcome(people[who], route, nodes) == expected
    if expected >= 400:
        assert _everything(people, nodes) == before


@pytest.mark.parametrize(("route", "who", "expected"), _table(PUBLISHED_NODE))
def test_published_node(route, who, expected, people, nodes):
    _publish(people, nodes, "public_read")
    before = _everything(people, nodes)
    assert _outcome(people[who], route, nodes) == expected
    if expected >= 400:
        assert _everything(people, nodes) == before


@pytest.mark.parametrize(("route", "who", "expected"), _table(PUBLIC_NODE))
def test_public_node(route, who, expected, people, nodes):
    _publish(people, nodes, "public_all")
    assert _outcome(people[who], route, nodes) == expected


@pytest.mark.parametrize(("route", "allowed", "expected"), _table(ANONYMOUS_ROUTES))
def test_what_the_server_allows_anonymous_users(route, allowed, expected, people, nodes, store):
    _publish(people, nodes, "public_all")
    anonymous = Person(ShockApp(store, anonymous=frozenset({allowed} - {"nothing"})), None)
    assert _outcome(anonymous, route, nodes) == expected


@pytest.mark.parametrize("route", ROUTES)
def test_a_token_that_nobody_has_is_good_for_nothing(route, people, nodes):
    """Not even for what everyone may do without one, as in Shock."""
    _publish(people, nodes, "public_all")
    before = _everything(people, nodes)
    response = _send(people["impostor"], route, nodes)
    assert response.status_code == 400
    assert _CONTENT not in response.content
    assert _everything(people, nodes) == before


def test_a_token_that_was_replaced_is_good_for_nothing(people, private_node, store):
    from skyport_wf.store.users import renew_token

    renew_token(store.database, "owner")
    assert people["owner"].get(f"/node/{private_node}").status_code == 400


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
    assert [node["id"] for node in people["reader"].find("querynode&owner=owner&attributes.k=v")] == [private_node]
    assert [node["id"] for node in people["reader"].find("querynode&read=reader&attributes.k=v")] == [private_node]
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
