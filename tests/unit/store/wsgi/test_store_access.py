"""Every route for every kind of user: who is let through, and with which status others are sent away."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from skyport_wf.store.access import OURSELVES, PUBLIC, RIGHTS, Acl
from skyport_wf.store.opening import Store, open_store
from skyport_wf.store.query import Query
from skyport_wf.store.users import add_user, find_by_name, renew_token
from skyport_wf.store.wsgi.app import ROUTES as SERVED
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.store_people import Person, fast_folder

PEOPLE = ("owner", "admin", "reader", "writer", "deleter", "stranger", "anonymous")

# One line a route, one column a person. 401 is what Shock answers to a known user without the right, too.
PRIVATE_NODE = """
route            owner admin reader writer deleter stranger anonymous
read             200   200   200    401    401     401      401
head             200   200   200    401    401     401      401
download         200   200   200    401    401     401      401
download_raw     200   200   200    401    401     401      401
download_some    200   200   200    401    401     401      401
download_gzip    200   200   200    401    401     401      401
link             200   200   200    401    401     401      401
link_found       200   200   200    400    400     400      400
link_named       200   200   200    401    401     401      401
use_link         500   500   500    500    500     500      500
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
read_typed_acl   200   200   400    400    400     400      401
public_read      200   200   400    400    400     400      401
post_public_all  200   200   400    400    400     400      401
no_public_read   200   200   400    400    400     400      401
grant            200   200   400    400    400     400      401
post_grant       200   200   400    400    400     400      401
take_from_other  200   200   400    400    400     400      401
locations        200   200   200    401    401     401      401
location         500   500   500    401    401     401      401
post_location    400   400   401    400    401     401      401
put_location     400   400   401    400    401     401      401
delete_location  400   400   401    400    401     401      401
type             500   500   500    500    500     500      401
post_type        500   500   500    500    500     500      401
put_type         500   500   500    500    500     500      401
delete_type      500   500   500    500    500     500      401
place            500   500   500    500    500     500      401
post_place       500   500   500    500    500     500      401
put_place        500   500   500    500    500     500      401
delete_place     500   500   500    500    500     500      401
new_owner        200   200   400    400    400     400      401
delete           200   200   401    401    200     401      401
"""

# Published, as an image is: everyone reads it, and nobody does more than before. Known users who are not in the read
# list neither see the ACL nor copy the file, as in Shock.
PUBLISHED_NODE = """
route            owner admin reader writer deleter stranger anonymous
read             200   200   200    200    200     200      200
head             200   200   200    200    200     200      200
download         200   200   200    200    200     200      200
download_raw     200   200   200    200    200     200      200
download_some    200   200   200    200    200     200      200
download_gzip    200   200   200    200    200     200      200
link             200   200   200    200    200     200      200
link_found       200   200   200    200    200     200      200
link_named       200   200   200    200    200     200      200
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
copy             200   200   200    400    400     400      200
copy_attributes  200   200   200    400    400     400      200
copy_here        200   200   401    400    401     401      401
read_acl         200   200   200    401    401     401      200
read_typed_acl   200   200   400    400    400     400      200
locations        200   200   200    401    401     401      200
location         500   500   500    401    401     401      500
put_location     400   400   401    400    401     401      401
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
link             200   200   200    200    200     200      200
link_named       200   200   200    200    200     200      200
query            1     1     1      1      1       1        1
attributes       200   200   200    200    200     200      200
expiration       200   200   200    200    200     200      200
part             200   200   200    200    200     200      200
upload           200   200   200    200    200     200      200
copy             200   200   200    400    400     400      200
copy_here        200   200   200    400    400     400      200
read_acl         200   200   200    401    401     401      200
locations        200   200   200    401    401     401      200
put_location     400   400   400    400    400     400      400
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
download_gzip   401     200
link            401     200
link_found      401     200
link_named      401     401
use_link        500     500
query           401     1
querynode       401     1
list            401     3
read_acl        401     200
read_typed_acl  401     200
locations       401     200
location        401     500
put_location    401     401
type            401     401
place           401     401
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
    "download_gzip": ("GET", "/node/{file}?download&compression=gzip", None),
    "link": ("GET", "/node/{file}?download_url", None),
    "link_found": ("GET", "/node?query&k=v&download_url", None),
    "link_named": ("POST", "/node", {"download_url": (None, "1"), "ids": (None, "{file}")}),
    "use_link": ("GET", "/preauth/a-name-that-was-guessed", None),
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
    "locations": ("GET", "/node/{file}/locations", None),
    "location": ("GET", "/node/{file}/locations/tape", None),
    "post_location": ("POST", "/node/{file}/locations", None),
    "put_location": ("PUT", "/node/{file}/locations/tape", None),
    "delete_location": ("DELETE", "/node/{file}/locations/tape", None),
    "type": ("GET", "/types/metadata/info", None),
    "post_type": ("POST", "/types/metadata/info", None),
    "put_type": ("PUT", "/types/metadata/info", None),
    "delete_type": ("DELETE", "/types/metadata/info", None),
    "place": ("GET", "/location/tape/missing", None),
    "post_place": ("POST", "/location/tape/missing", None),
    "put_place": ("PUT", "/location/tape/missing", None),
    "delete_place": ("DELETE", "/location/tape/missing", None),
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


class Lab:
    """A store in which everyone may do everything that nodes allow, with the people, and nodes of the owner's."""

    def __init__(self, store: Store, kind: str = "") -> None:
        """kind: how the nodes are opened to the public, such as `public_read`."""
        self.store = store
        self.app = ShockApp(store, anonymous=frozenset(RIGHTS))
        names = [name for name in PEOPLE if name != "anonymous"]
        tokens = {name: add_user(store.database, name, admin=name == "admin") for name in names}
        tokens["impostor"] = "a-token-that-nobody-has"
        self.people = {name: Person(self.app, tokens.get(name)) for name in (*PEOPLE, "impostor")}
        self._kind = kind
        self._acl = Acl(find_by_name(store.database, "owner").id)
        for right, name in zip(RIGHTS, ("reader", "writer", "deleter"), strict=True):
            users = self._acl.owner, find_by_name(store.database, name).id
            self._acl = self._acl.granted(users, (right,))
        if kind:
            self._acl = self._acl.granted((PUBLIC,), RIGHTS if kind == "public_all" else ("read",))
        self.nodes = self._make_nodes()

    def _make_nodes(self) -> dict[str, str]:
        """Make the owner's nodes; each of the other people has one right on them."""
        owner = self.people["owner"]
        nodes = {
            "file": owner.upload(_CONTENT, {"k": "v"})["id"],
            "parts": owner.upload(parts="unknown")["id"],
            "empty": owner.upload()["id"],
        }
        owner.put(f"/node/{nodes['parts']}", files={"2": ("two", b"2")})
        for node in nodes.values():
            self.store.change_acl(node, lambda _: self._acl)
        return nodes

    def send(self, who: str, route: str) -> requests.Response:
        """Take a route."""
        method, path, form = ROUTES[route]
        fields = {
            name: (file, value.format(**self.nodes) if isinstance(value, str) else value)
            for name, (file, value) in (form or {}).items()
        }
        return self.people[who].call(method, path.format(**self.nodes), files=fields or None)

    def outcome(self, who: str, route: str) -> int:
        """Take a route, and return its status; of a list, how many nodes it shows."""
        response = self.send(who, route)
        return response.json()["total_count"] if route in QUERIES and response.ok else response.status_code

    def everything(self) -> list[Any]:
        """Return all there is: every row of the database, every file."""
        # Parts are joined in the background.
        self.store.joiner.close()
        tables = ("user", "node", "part", "permission", "attribute", "link")
        with self.store.database.read() as connection:
            rows = [tuple(row) for table in tables for row in connection.execute(f"SELECT * FROM {table}")]
        return [*rows, *((path, path.read_bytes()) for path in self.store.files)]

    def restore(self) -> None:
        """Put new nodes in the place of all there are."""
        self.store.joiner.close()
        for node in self.store.find(Query(limit=1000), OURSELVES).nodes:
            self.store.delete(node.id, OURSELVES)
        self.nodes = self._make_nodes()


def _labs(kind: str = "") -> Iterator[Lab]:
    with fast_folder() as folder, open_store(folder) as store:
        yield Lab(store, kind)


@pytest.fixture(scope="module")
def private() -> Iterator[Lab]:
    yield from _labs()


@pytest.fixture(scope="module")
def published() -> Iterator[Lab]:
    yield from _labs("public_read")


@pytest.fixture(scope="module")
def public() -> Iterator[Lab]:
    yield from _labs("public_all")


@pytest.fixture
def people(store: Store) -> dict[str, Person]:
    return Lab(store).people


@pytest.fixture
def private_node(people: dict[str, Person]) -> str:
    return people["owner"].find("query&k=v")[0]["id"]


def _check(lab: Lab, who: str, route: str, expected: int) -> None:
    """Take a route; who is sent away has changed nothing."""
    before = lab.everything()
    assert lab.outcome(who, route) == expected
    if lab.everything() == before:
        return
    assert expected == 200, "a refused request changed something"
    lab.restore()


def test_every_route_there_is_has_a_line():
    def found(path, method):
        return SERVED.bind("").match(path.partition("?")[0].format(file="x", parts="x", empty="x"), method)[0]

    served = {(rule.endpoint, method) for rule in SERVED.iter_rules() for method in rule.methods - {"OPTIONS"}}
    taken = {(found(path, method), method) for method, path, _ in ROUTES.values()}
    only_read = ("/node", "/node/x/acl", "/node/x/acl/read", "/node/x/locations", "/node/x/locations/y")
    untaken = {(found(path, "HEAD"), "HEAD") for path in (*only_read, "/preauth/x", "/types/x/y", "/location/x/y")}
    assert served - taken == untaken
    assert {route for route, _, _ in _table(PRIVATE_NODE)} == set(ROUTES) - {"create"}


def test_the_nodes_are_as_the_tables_say(private, published, public):
    """The tables rest on nodes whose ACL was put there by the store itself: Shock's own requests make the same."""
    for lab, kind in ((private, ""), (published, "public_read"), (public, "public_all")):
        owner = lab.people["owner"]
        node = owner.upload()["id"]
        requests = [f"{right}?users={name}" for right, name in zip(RIGHTS, PEOPLE[2:5], strict=True)]
        for request in [*requests, *([kind] if kind else [])]:
            assert owner.put(f"/node/{node}/acl/{request}").status_code == 200
        acl = owner.get(f"/node/{node}/acl/").json()["data"]
        assert owner.get(f"/node/{lab.nodes['file']}/acl/").json()["data"] == acl
        owner.delete(f"/node/{node}")


@pytest.mark.parametrize(("route", "who", "expected"), _table(PRIVATE_NODE))
def test_private_node(route, who, expected, private):
    _check(private, who, route, expected)


@pytest.mark.parametrize(("route", "who", "expected"), _table(PUBLISHED_NODE))
def test_published_node(route, who, expected, published):
    _check(published, who, route, expected)


@pytest.mark.parametrize(("route", "who", "expected"), _table(PUBLIC_NODE))
def test_public_node(route, who, expected, public):
    _check(public, who, route, expected)


@pytest.mark.parametrize(("route", "allowed", "expected"), _table(ANONYMOUS_ROUTES))
def test_what_the_server_allows_anonymous_users(route, allowed, expected, public, monkeypatch):
    monkeypatch.setattr(public.app, "anonymous", frozenset({allowed} - {"nothing"}))
    _check(public, "anonymous", route, expected)


@pytest.mark.parametrize("route", ROUTES)
def test_a_token_that_nobody_has_is_good_for_nothing(route, public):
    """Not even for what everyone may do without one, as in Shock."""
    before = public.everything()
    response = public.send("impostor", route)
    assert response.status_code == 400
    assert _CONTENT not in response.content
    assert public.everything() == before


def test_a_token_that_was_replaced_is_good_for_nothing(people, private_node, store):
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
        people["owner" if number % 2 else "stranger"].upload(attributes={"counted": "yes"})
    page = people["owner"].get("/node?query&counted=yes&limit=4").json()
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
    assert people["owner"].delete(f"/node/{private_node}/acl/read?users=ghost").status_code == 200
    assert find_by_name(store.database, "ghost") is None
