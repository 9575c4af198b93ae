"""The node API against a model of it: a dictionary. Hypothesis makes up what users do, in any order."""

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from skyport_wf.store.access import OURSELVES, PUBLIC
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user, find_by_name
from skyport_wf.store.wsgi.app import ShockApp
from tests.support.store_people import Person, fast_folder

pytestmark = pytest.mark.slow

USERS = ("alice", "bob", "admin", PUBLIC)
RIGHTS = ("read", "write", "delete")

users = st.sampled_from(USERS)
contents = st.binary(max_size=20)
scalars = st.sampled_from(("a", "ab", "7", "null", 7, 8, None))
documents = st.dictionaries(st.sampled_from(("type", "name")), scalars | st.lists(scalars, max_size=3), max_size=2)
asked = st.sampled_from(("a", "ab", "7", "8", "null", "", "!a", "!7", "a*", "*b", "!a*", "[7;7]", "[8;9]"))


@dataclass
class Model:
    """A node as it ought to be."""

    owner: str
    acl: dict[str, set[str]]
    attributes: Any = None
    content: bytes | None = None
    name: str = ""
    type: str = "basic"
    tags: list[str] = field(default_factory=list)
    count: int = 0
    pieces: dict[int, bytes] = field(default_factory=dict)

    def allows(self, user: str, right: str) -> bool:
        return user in ("admin", self.owner) or bool({user, PUBLIC} & self.acl[right])

    def names(self, user: str, right: str) -> bool:
        return user in ("admin", self.owner) or self.owner == PUBLIC or user in self.acl[right]


class StoreMachine(RuleBasedStateMachine):
    """Every call goes to the store and to the model; they must agree on its answer, and on all nodes afterwards."""

    nodes = Bundle("nodes")

    @initialize(target=nodes)
    def open_new(self):
        self.opened = ExitStack()
        self.folder = self.opened.enter_context(fast_folder())
        self.models: dict[str, Model] = {}
        self.store = open_store(self.folder)
        self.tokens = {
            name: add_user(self.store.database, name, admin=name == "admin") for name in USERS if name != PUBLIC
        }
        self._connect()
        return multiple(
            self.create("alice", {"type": "a"}, b"alice's", "x,y"),
            self.create("bob", {"type": ["a", 7]}, None, ""),
            self.create_parts("alice", 2),
            self.create(PUBLIC, {}, b"everyone's", ""),
        )

    def _connect(self):
        app = ShockApp(self.store, anonymous=frozenset(RIGHTS))
        self.people = {name: Person(app, self.tokens.get(name)) for name in USERS}
        self.ids = {name: PUBLIC if name == PUBLIC else find_by_name(self.store.database, name).id for name in USERS}

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.opened.close()

    def _call(self, who: str, method: str, path: str, expected: int, **form: Any) -> Any:
        response = self.people[who].call(method, path, files=form or None)
        assert response.status_code == expected, (who, method, path, form, response.text)
        answer = response.json()
        assert answer["status"] == expected
        assert (answer["error"] is None) == (expected == 200)
        return answer["data"]

    def _new(self, who: str, node: str, **known: Any) -> Any:
        self.models[node] = Model(who, {right: {who} for right in RIGHTS}, **known)
        return node

    def _status(self, node: str, who: str, right: str) -> int:
        if node not in self.models:
            return 404
        return 200 if self.models[node].allows(who, right) else 401

    @rule(
        target=nodes, who=users, attributes=documents, content=st.none() | contents, tags=st.sampled_from(("", "x,y"))
    )
    def create(self, who, attributes, content, tags):
        form: dict[str, Any] = {"attributes": ("a", _json(attributes))}
        if content is not None:
            form["upload"] = ("file", content)
        if tags:
            form["tags"] = (None, tags)
        node = self._call(who, "POST", "/node", 200, **form)["id"]
        name = "" if content is None else "file"
        kept = tags.split(",") if tags else []
        return self._new(who, node, attributes=attributes, content=content, name=name, tags=kept)

    @rule(target=nodes, who=users, count=st.integers(1, 3))
    def create_parts(self, who, count):
        node = self._call(who, "POST", "/node", 200, parts=(None, str(count)))["id"]
        return self._new(who, node, type="parts", count=count)

    @rule(target=nodes, who=users, source=nodes, with_attributes=st.booleans())
    def copy(self, who, source, with_attributes):
        model = self.models.get(source)
        fits = model and model.names(who, "read") and model.content is not None
        form = {"copy_data": (None, source)} | ({"copy_attributes": (None, "1")} if with_attributes else {})
        answer = self._call(who, "POST", "/node", 200 if fits else 400 if model else 404, **form)
        if not fits:
            return multiple()
        attributes = model.attributes if with_attributes else None
        return self._new(who, answer["id"], type="copy", attributes=attributes, content=model.content, name=model.name)

    @rule(who=users, node=nodes, number=st.integers(1, 4), content=contents)
    def send_part(self, who, node, number, content):
        expected = self._status(node, who, "write")
        model = self.models.get(node)
        is_new = False
        if expected == 200 and (model.content is not None or model.type != "parts" or number in model.pieces):
            expected = 400
        elif expected == 200:
            is_new = number <= model.count
        self._call(who, "PUT", f"/node/{node}", expected, **{str(number): ("piece", content)})
        if is_new:
            model.pieces[number] = content
            if len(model.pieces) == model.count:
                self.store.joiner.close()
                model.content = b"".join(model.pieces[n] for n in sorted(model.pieces))
                model.name = model.name or node

    @rule(who=users, node=nodes, content=contents)
    def add_file(self, who, node, content):
        expected = self._status(node, who, "write")
        model = self.models.get(node)
        if expected == 200 and (model.content is not None or model.type == "parts"):
            expected = 400
        self._call(who, "PUT", f"/node/{node}", expected, upload=("late", content))
        if expected == 200:
            model.content, model.name = content, model.name or "late"

    @rule(who=users, node=nodes, attributes=documents)
    def replace_attributes(self, who, node, attributes):
        expected = self._status(node, who, "write")
        self._call(who, "PUT", f"/node/{node}", expected, attributes=("a", _json(attributes)))
        if expected == 200:
            self.models[node].attributes = attributes

    @rule(who=users, node=nodes)
    def rename(self, who, node):
        expected = self._status(node, who, "write")
        self._call(who, "PUT", f"/node/{node}", expected, file_name=(None, "renamed"))
        if expected == 200:
            self.models[node].name = "renamed"

    @rule(who=users, node=nodes, whom=users, right=st.sampled_from((*RIGHTS, "all")), give=st.booleans())
    def change_acl(self, who, node, whom, right, give):
        kind = f"public_{right}" if whom == PUBLIC else f"{right}?users={whom}"
        expected = self._acl_status(who, node, whom, give)
        shown = self._call(who, "PUT" if give else "DELETE", f"/node/{node}/acl/{kind}", expected)
        if expected == 200:
            for each in RIGHTS if right == "all" else (right,):
                holders = self.models[node].acl[each]
                holders.add(whom) if give else holders.discard(whom)
            self._compare_acl(shown, self.models[node])

    def _acl_status(self, who, node, whom, give):
        if node not in self.models:
            return 404
        if who == PUBLIC:
            return 401
        in_charge = who in ("admin", self.models[node].owner)
        return 200 if in_charge or (not give and who == whom) else 400

    @rule(who=users, node=nodes, whom=users.filter(lambda name: name != PUBLIC))
    def give_away(self, who, node, whom):
        expected = self._acl_status(who, node, whom, True)
        shown = self._call(who, "PUT", f"/node/{node}/acl/owner?users={whom}", expected)
        if expected == 200:
            self.models[node].owner = whom
            self._compare_acl(shown, self.models[node])

    @rule(who=users, node=nodes)
    def delete(self, who, node):
        expected = self._status(node, who, "delete")
        self._call(who, "DELETE", f"/node/{node}", expected)
        if expected == 200:
            del self.models[node]

    @rule(who=users, node=nodes)
    def read(self, who, node):
        expected = self._status(node, who, "read")
        shown = self._call(who, "GET", f"/node/{node}", expected)
        if expected == 200:
            self._compare(shown, self.models[node])
            self._compare_acl(self._call("admin", "GET", f"/node/{node}/acl/", 200), self.models[node])

    @rule(who=users, node=nodes, seek=st.integers(0, 30), length=st.integers(0, 30))
    def download(self, who, node, seek, length):
        expected = self._status(node, who, "read")
        if expected == 200 and self.models[node].content is None:
            expected = 400
        response = self.people[who].get(f"/node/{node}?download&seek={seek}&length={length}")
        assert response.status_code == expected
        if expected == 200:
            assert response.content == self.models[node].content[seek : seek + length]

    @rule(
        who=users, key=st.sampled_from(("type", "name")), value=asked, limit=st.integers(1, 5), offset=st.integers(0, 3)
    )
    def query(self, who, key, value, limit, offset):
        parameters = {"query": "", key: value, "limit": limit, "offset": offset}
        answer = self.people[who].get("/node", params=parameters).json()
        expected = [
            node
            for node, model in reversed(self.models.items())
            if model.allows(who, "read") and _fulfils(model.attributes, key, value)
        ]
        assert answer["total_count"] == len(expected)
        assert [node["id"] for node in answer["data"]] == expected[offset : offset + limit]

    @rule()
    def close_and_open(self):
        self.store.close()
        self.store = open_store(self.folder)
        self._connect()

    @invariant()
    def everything_is_there_and_nothing_else(self):
        if not hasattr(self, "store"):
            return
        shown = {node["id"]: node for node in self.people["admin"].find("limit=0")}
        assert list(shown) == list(reversed(self.models))
        for node, model in self.models.items():
            self._compare(shown[node], model)
            # What an ACL looks like is compared where it is changed and read: this is done after every step.
            acl = self.store.read(node, OURSELVES).acl
            assert acl.owner == self.ids[model.owner]
            assert {right: set(getattr(acl, right)) for right in RIGHTS} == {
                right: {self.ids[user] for user in users} for right, users in model.acl.items()
            }
        files = {m.content for m in self.models.values() if m.content is not None}
        on_disk = [path.read_bytes() for path in self.store.files]
        assert files <= set(on_disk)
        waiting = [piece for m in self.models.values() if m.content is None for piece in m.pieces.values()]
        assert set(on_disk) == files | set(waiting)

    def _compare(self, shown, model):
        content, file = model.content, shown["file"]
        assert (shown["attributes"], shown["tags"], shown["type"]) == (model.attributes, model.tags, model.type)
        assert (file["name"], file["size"], file["locked"]) == (model.name, len(content or b""), None)
        md5 = {} if content is None else {"md5": hashlib.md5(content).hexdigest()}
        assert file["checksum"] == md5
        if model.type == "parts":
            assert (shown["parts"]["count"], shown["parts"]["length"]) == (model.count, len(model.pieces))

    def _compare_acl(self, shown, model):
        assert shown["owner"] == self.ids[model.owner]
        for right in RIGHTS:
            assert set(shown[right]) == {self.ids[user] for user in model.acl[right] - {PUBLIC}}
            assert shown["public"][right] == (PUBLIC in model.acl[right])


def _json(value):
    return json.dumps(value).encode()


def _fulfils(document, key, asked):
    """Return what Shock means by `?query&KEY=ASKED`."""
    if not isinstance(document, dict) or key not in document:
        return asked == "null" or (asked.startswith("!") and not asked.endswith("*"))
    value = document[key]
    places = [value, *value] if isinstance(value, list) else [value]
    texts = [place for place in places if isinstance(place, str)]
    match asked:
        case "":
            return True
        case "null":
            return all(place in (None, "null") for place in places)
        case "a*":
            return any(text.startswith("a") for text in texts)
        case "!a*":
            return any(not text.startswith("a") for text in texts)
        case "*b":
            return any(text.endswith("b") for text in texts)
        case "[7;7]" | "[8;9]":
            numbers = [place for place in places if isinstance(place, int)]
            return any(int(asked[1]) <= number <= int(asked[3]) for number in numbers)
        case _:
            is_there = any(str(place) == asked.removeprefix("!") for place in places if isinstance(place, str | int))
            return is_there != asked.startswith("!")


StoreMachine.TestCase.settings = settings(max_examples=70, stateful_step_count=50, deadline=None)
TestStoreAgainstItsModel = StoreMachine.TestCase
