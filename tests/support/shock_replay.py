"""Plays recorded calls against a server and says where its answers differ from Shock's.

data/transcripts.json holds calls and what MG-RAST's Shock server answered; `<id 1>`, `<time>` and the like stand
for what differs from run to run: the same id everywhere, some moment, some hash.
"""

import hashlib
import json
import re
import time
from itertools import chain
from typing import Any

import requests

from tests.support.commands import CHECKOUT

DATA = CHECKOUT / "tests/contract/data"
SCENARIOS = json.loads((DATA / "transcripts.json").read_text())
TOKENS = {"user1": "token-user1", "user2": "token-user2", "admin": "token-admin", "bad": "no-such-token"}

_TEXT = b"".join(b"line %06d of a small text file\n" % number for number in range(4000))
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOMENT = re.compile(r"(?!0001)\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_HASH = re.compile(r"[0-9a-f]{32}")
_JOINED_WITHIN_SECONDS = 20


class Replay:
    """One scenario, played from its first call to its last."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self._session = session
        self._url = url
        self._remembered: dict[str, str] = {}
        self._ids: dict[str, str] = {}

    def differences(self, calls: list[dict[str, Any]]) -> list[str]:
        """Play the calls, and return one line for each thing that Shock answers differently."""
        found = []
        for number, call in enumerate(calls, start=1):
            request = call["request"]
            where = f"call {number}, {request['method']} {request['path']} as {request['as']}"
            response = self._send(request)
            found += [f"{where}: {line}" for line in self._compare_answer(call["answer"], response)]
            if name := request.get("remember_id_as"):
                self._remembered[name] = response.json()["data"]["id"]
        return found

    def _send(self, request: dict[str, Any]) -> requests.Response:
        deadline = time.monotonic() + _JOINED_WITHIN_SECONDS
        while True:
            response = self._session.send(self._prepare(request))
            if not request.get("until_unlocked") or response.json()["data"]["file"]["locked"] is None:
                return response
            assert time.monotonic() < deadline, "the parts were not joined"
            time.sleep(0.02)

    def _prepare(self, request: dict[str, Any]) -> requests.PreparedRequest:
        headers = dict(request.get("headers", {}))
        if request["as"] in TOKENS:
            headers["Authorization"] = f"OAuth {TOKENS[request['as']]}"
        fields = [(name, (None, self._fill(value))) for name, value in request.get("fields", {}).items()]
        files = [(name, (file["name"], _body(file["body"]))) for name, file in request.get("files", {}).items()]
        prepared = requests.Request(
            request["method"],
            self._url + self._fill(request["path"]),
            headers=headers,
            files=fields + files or None,
            data=_body(request["body"]) if "body" in request else None,
        ).prepare()
        if request.get("chunked"):
            whole = prepared.body
            prepared.headers.pop("Content-Length")
            prepared.headers["Transfer-Encoding"] = "chunked"
            prepared.body = (whole[start : start + 1000] for start in range(0, len(whole), 1000))
        return prepared

    def _fill(self, text: str) -> str:
        for name, identity in self._remembered.items():
            text = text.replace("{" + name + "}", identity)
        return text

    def _compare_answer(self, expected: dict[str, Any], response: requests.Response) -> list[str]:
        if response.status_code != expected["http"]:
            return [f"HTTP {response.status_code}, Shock answers {expected['http']}: {response.text[:200]}"]
        if "body" in expected:
            kind = response.headers["Content-Type"].partition(";")[0]
            if kind != "application/json":
                return [f"{kind}, Shock answers JSON"]
            return list(self._compare(expected["body"], response.json(), "body"))
        got = {"size": len(response.content), "md5": hashlib.md5(response.content).hexdigest()}
        headers = {name: response.headers.get(name) for name in expected["headers"]}
        if "Content-Disposition" not in expected["headers"]:
            assert "Content-Disposition" not in response.headers
        return [
            *self._compare(expected["raw"], got, "content"),
            *self._compare(expected["headers"], headers, "header"),
        ]

    def _compare(self, expected: Any, got: Any, where: str) -> list[str]:
        if where == "body.error" and expected:
            # Clients read the status, and that `error` is a list of texts; the wording is Shock's own.
            ok = isinstance(got, list) and got and all(isinstance(line, str) and line for line in got)
            return [] if ok else [f"{where}: {got!r} is not a list of texts"]
        if isinstance(expected, dict) and isinstance(got, dict):
            keys = [f"{where}: keys {sorted(got)}, Shock has {sorted(expected)}"] if set(got) != set(expected) else []
            inner = (self._compare(expected[key], got[key], f"{where}.{key}") for key in expected if key in got)
            return [*keys, *chain.from_iterable(inner)]
        if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
            inner = (self._compare(*pair, f"{where}[]") for pair in zip(expected, got, strict=True))
            return list(chain.from_iterable(inner))
        return [] if self._is_same(expected, got) else [f"{where}: {got!r}, Shock answers {expected!r}"]

    def _is_same(self, expected: Any, got: Any) -> bool:
        match expected:
            case "<time>":
                return bool(_MOMENT.fullmatch(got))
            case "<hash>":
                return bool(_HASH.fullmatch(got))
            case "<hashes>":
                return isinstance(got, dict) and all(_HASH.fullmatch(one) for one in got.values())
            case str() if "<id" in expected and isinstance(got, str):
                return self._is_same_id(expected, got)
            case _:
                return type(expected) is type(got) and expected == got

    def _is_same_id(self, expected: str, got: str) -> bool:
        """Return whether the placeholder stands for the id that it stood for before, and no other does."""
        start = expected.index("<id")
        placeholder = expected[start : expected.index(">") + 1]
        found = _ID.search(got)
        if not found or expected.replace(placeholder, found[0]) != got:
            return False
        if placeholder not in self._ids:
            fresh = found[0] not in self._ids.values()
            self._ids[placeholder] = found[0]
            return fresh
        return self._ids[placeholder] == found[0]


def _body(described: dict[str, Any]) -> bytes:
    """Return the bytes that a body's description stands for."""
    if "text" in described:
        start, end = described["text"]
        return _TEXT[start:end]
    if "file" in described:
        return (DATA / described["file"]).read_bytes()
    return described["utf8"].encode()
