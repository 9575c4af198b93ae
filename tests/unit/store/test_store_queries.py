import pytest

from skyport_wf.store.access import ANONYMOUS
from skyport_wf.store.database import timestamp
from skyport_wf.store.query import parse_query
from skyport_wf.store.search import search

NODES = {
    "velvet": {"type": "dockerimage", "repository": "lab/velvet", "tag": "1.2.10", "n": 1, "nested": {"v": "deep"}},
    "bowtie": {"type": "dockerimage", "repository": "lab/bowtie", "tag": "2", "n": 2, "opt": None, "list": ["a", "b"]},
    "samtools": {"type": "dockerimage", "repository": "lab/samtools", "tag": "1.16", "n": 10, "list": [{"x": "y"}]},
    "note": {"type": "note", "n": "2", "text": "50% off_x", "flag": True, "big": 2**70, "half": 2.5},
}
NEWEST_FIRST = ("note", "samtools", "bowtie", "velvet")

FOUND = [
    ("query", NEWEST_FIRST),
    ("query&type=dockerimage", ("samtools", "bowtie", "velvet")),
    ("query&type=dockerimage&repository=lab/velvet", ("velvet",)),
    ("query&type=dockerimage&type=note", ()),
    ("query&type=DOCKERIMAGE", ()),
    ("query&type=docker", ()),
    ("query&n=2", ("note", "bowtie")),
    ("query&n=!2", ("samtools", "velvet")),
    ("query&n=02", ("bowtie",)),
    ("query&n=2.0", ()),
    ("query&tag=2", ("bowtie",)),
    ("query&opt=", ("bowtie",)),
    ("query&nested=", ("velvet",)),
    ("query&list=", ("samtools", "bowtie")),
    ("query&missing=", ()),
    ("query&opt=null", ("note", "samtools", "bowtie", "velvet")),
    ("query&nested.v=null", ("note", "samtools", "bowtie")),
    ("query&nested.v=!null", ("velvet",)),
    ("query&missing=null", NEWEST_FIRST),
    ("query&missing=!null", ()),
    ("query&nested.v=deep", ("velvet",)),
    ("query&nested=deep", ()),
    ("query&list=a", ("bowtie",)),
    ("query&list=!a", ("note", "samtools", "velvet")),
    ("query&list.x=y", ("samtools",)),
    ("query&repository=lab*", ("samtools", "bowtie", "velvet")),
    ("query&repository=*tools", ("samtools",)),
    ("query&repository=*b*", ("samtools", "bowtie", "velvet")),
    ("query&repository=*bow*", ("bowtie",)),
    ("query&repository=*", ("samtools", "bowtie", "velvet")),
    ("query&repository=**", ("samtools", "bowtie", "velvet")),
    ("query&repository=!lab*", ()),
    ("query&repository=!*tools", ("bowtie", "velvet")),
    ("query&repository=!*bow*", ("samtools", "velvet")),
    ("query&repository=lab.*", ()),
    ("query&text=50%25*", ("note",)),
    ("query&text=50_*", ()),
    ("query&text=*off_x", ("note",)),
    ("query&n=%5B1;2%5D", ("bowtie", "velvet")),
    ("query&n=%5D1;2%5D", ("bowtie",)),
    ("query&n=%5B1;2%5B", ("velvet",)),
    ("query&n=%5D1;2%5B", ()),
    ("query&n=!%5B1;2%5D", ("samtools",)),
    ("query&n=!%5D1;10%5B", ("samtools", "velvet")),
    ("query&half=%5B2;3%5D", ("note",)),
    ("query&tag=%5B1.1;1.2%5D", ("samtools",)),
    ("query&n=%5B1;x%5D", ()),
    ("query&flag=true", ()),
    ("query&flag=1", ()),
    ("query&flag=", ("note",)),
    ("query&big=", ("note",)),
    ("query&type=dockerimage'; DROP TABLE node; --", ()),
    ("query&limit=2", ("note", "samtools")),
    ("query&limit=2&offset=2", ("bowtie", "velvet")),
    ("query&offset=100", ()),
    ("query&limit=0", NEWEST_FIRST),
    ("query&direction=asc", ("velvet", "bowtie", "samtools", "note")),
    ("query&order=n&direction=asc", ("velvet", "bowtie", "samtools", "note")),
    ("query&order=n", ("note", "samtools", "bowtie", "velvet")),
    ("query&order=tag", ("bowtie", "velvet", "samtools", "note")),
    ("query&order=missing&direction=asc", ("velvet", "bowtie", "samtools", "note")),
    ("limit=1", ("note",)),
    ("type=dockerimage", NEWEST_FIRST),
    ("querynode&attributes.type=note", ("note",)),
    ("querynode&type=parts", ()),
    ("querynode&type=basic&file.name=file.bin", NEWEST_FIRST),
    ("querynode&file.name=file*", NEWEST_FIRST),
    ("querynode&file.size=5", ("note",)),
    ("querynode&file.size=%5B6;100%5D", ("samtools", "bowtie", "velvet")),
    ("querynode&file.checksum.md5=!0", NEWEST_FIRST),
    ("querynode&tags=published", ("samtools",)),
    ("querynode&tags=*lish*", ("samtools",)),
    ("querynode&tags=!published", ("note", "bowtie", "velvet")),
    ("querynode&priority=7", ("velvet",)),
    ("querynode&priority=!7", ("note", "samtools", "bowtie")),
    ("querynode&created_on=%5B2000-01-01;2999-01-01%5D", NEWEST_FIRST),
    ("querynode&created_on=%5B2000-01-01T00:00:00%2B02:00;2001-01-01%5D", ()),
    ("querynode&expiration=%5B2000-01-01;2999-01-01%5D", ()),
    ("querynode&nonsense=1", ()),
    ("querynode&acl.owner=x", ()),
    ("querynode&order=file.size", ("samtools", "bowtie", "velvet", "note")),
]


@pytest.fixture
def person(alice):
    for name, attributes in NODES.items():
        node = alice.upload(name.encode() + b"!", {"is": name, **attributes})
        if name == "samtools":
            alice.put(f"/node/{node['id']}", files={"tags": (None, "published")})
        if name == "velvet":
            alice.put(f"/node/{node['id']}", files={"priority": (None, "7")})
    return alice


def test_queries(person):
    wrong = {}
    for query, expected in FOUND:
        got = tuple(node["attributes"]["is"] for node in person.find(query))
        if got != expected:
            wrong[query] = got
    assert wrong == {}


def test_paging_says_where_it_is(person):
    page = person.get("/node?query&type=dockerimage&limit=1&offset=1").json()
    assert (page["limit"], page["offset"], page["total_count"], len(page["data"])) == (1, 1, 3, 1)


def test_a_page_has_25_nodes_unless_asked_for_more(alice):
    for number in range(27):
        alice.upload(attributes={"number": number})
    first, second = alice.get("/node?query").json(), alice.get("/node?query&offset=25").json()
    assert [node["attributes"]["number"] for node in first["data"] + second["data"]] == list(range(26, -1, -1))
    assert (first["limit"], first["total_count"]) == (25, 27)


@pytest.mark.parametrize(
    "query",
    ["query&limit=x", "query&limit=-1", "query&offset=1.5", "query&offset=99999999999999999999", "query&k=!"],
)
def test_a_query_that_means_nothing_is_refused(query, alice):
    assert alice.get(f"/node?{query}").status_code == 400


def test_a_query_with_too_many_conditions_is_refused(alice):
    assert alice.get("/node?query" + "&k=v" * 101).status_code == 400
    assert alice.get("/node?query" + "&k=v" * 100).status_code == 200


def test_replaced_attributes_are_found_no_more(alice):
    node = alice.upload(attributes={"k": "old"})["id"]
    alice.put(f"/node/{node}", files={"attributes_str": (None, '{"k": "new"}')})
    assert alice.find("query&k=old") == []
    assert len(alice.find("query&k=new")) == 1


def test_long_texts_are_compared_to_their_end(alice):
    alice.upload(attributes={"dockerfile": "x" * 5000 + "1"})
    assert len(alice.find("query&dockerfile=" + "x" * 5000 + "1")) == 1
    assert alice.find("query&dockerfile=" + "x" * 5000 + "2") == []
    assert alice.find("query&dockerfile=" + "x" * 100) == []


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ("x" * 100, "x" * 101),
        ("x" * 101, "x" * 100),
        ("x" * 100 + "a", "x" * 100 + "b"),
        ("é" * 100, "é" * 101),
        ("a\0b", "a\0c"),
        ("a", "a\0"),
        ("x" * 200 + "\0a", "x" * 200 + "\0b"),
        ("007", "7"),
        ("7", "07"),
        ("*x", "xx"),
    ],
)
def test_values_that_the_index_could_confuse(value, other, alice):
    expected = alice.upload(attributes={"k": value})["id"]
    alice.upload(attributes={"k": other})
    found = alice.get("/node", params={"query": "", "k": value if value != "*x" else "*x"}).json()
    if value == "*x":
        assert found["total_count"] == 2
    else:
        assert ([node["id"] for node in found["data"]], found["total_count"]) == ([expected], 1)


def test_a_value_that_stands_in_a_list_twice_is_one_match(alice):
    node = alice.upload(attributes={"k": ["v", "v", "w"], "n": [1, 1, "1"]})["id"]
    for query in ("k=v", "n=1", "k=v&n=1", "k=v&order=k"):
        answer = alice.get(f"/node?query&{query}").json()
        assert ([found["id"] for found in answer["data"]], answer["total_count"]) == ([node], 1)


def _plans(store, query):
    """Return how SQLite goes about the statements of a query."""
    asked = []
    with store.database.read() as connection:
        connection.set_trace_callback(asked.append)
        search(connection, parse_query([tuple(pair.split("=")) for pair in query.split("&")]), ANONYMOUS, timestamp())
        connection.set_trace_callback(None)
        statements = [text for text in asked if text.lstrip().startswith("SELECT")]
        assert statements
        return [
            [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")] for statement in statements
        ]


@pytest.mark.parametrize(
    "query",
    [
        "query=&type=dockerimage&name=lab/x:1",
        "query=&type=dockerimage&repository=lab/x",
        "query=&type=dockerimage",
        "querynode=&file.checksum.md5=9dd4e461268c8034f5c8564e155c67a6",
    ],
)
def test_what_is_asked_most_scans_no_table(query, store, alice):
    """With many nodes, a value is looked up: the plan must not scan all nodes, nor sort what it finds."""
    alice.upload(b"x", attributes={"type": "dockerimage", "name": "lab/x:1", "repository": "lab/x"})
    for plan in _plans(store, query):
        assert not [step for step in plan if step.startswith(("SCAN n", "SCAN m", "SCAN attribute"))], plan
        assert not [step for step in plan if "TEMP B-TREE" in step], plan
