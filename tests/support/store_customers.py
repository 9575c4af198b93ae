"""Clients that use a server at random until it dies, and remember what it acknowledged."""

import hashlib
import http.client
import json
import random
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.support.timing import PATIENCE

COUNT = 3


@dataclass
class Known:
    """What a client knows of a node: what the server acknowledged, and what it may have done beyond."""

    content: bytes | None = None
    """The file, if it came in one piece."""
    versions: tuple[int, int] = (0, 0)
    """Of the attributes: the last acknowledged, and the last sent."""
    pieces: list[bytes] = field(default_factory=list)
    """The parts, for a node of parts."""
    sent: set[int] = field(default_factory=set)
    arrived: set[int] = field(default_factory=set)
    """Numbers of the parts that were sent, and that were acknowledged."""
    public: bool = False
    deleting: bool = False
    deleted: bool = False


class Customer(threading.Thread):
    """Uploads, sends parts, changes attributes and ACLs, copies and deletes, until the server is gone."""

    def __init__(self, port: int, token: str, seed: int, nodes: dict[str, Known]) -> None:
        super().__init__()
        self.nodes = nodes
        self._random = random.Random(seed)
        self._server = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        self._token = token
        self.failure: Exception | None = None

    def run(self) -> None:
        actions = [self._upload, self._upload, self._copy, self._part, self._part, self._attributes, self._publish]
        try:
            while True:
                self._random.choice([*actions, self._remove])()
        except (OSError, http.client.HTTPException):
            pass
        except Exception as error:
            self.failure = error
        finally:
            self._server.close()

    def _upload(self) -> None:
        content = self._random.randbytes(self._random.choice((10, 30_000, 400_000)))
        pieces = (content[start : start + 100_000] for start in range(0, len(content), 100_000))
        node = self._ask("POST", "/node", self._form(_attributes(content, 0), pieces))
        self.nodes[node["id"]] = Known(content)

    def _copy(self) -> None:
        if found := self._pick(lambda known: known.content):
            source, known = found
            form = self._form(_attributes(known.content, 0), copy_data=source)
            self.nodes[self._ask("POST", "/node", form)["id"]] = Known(known.content)

    def _part(self) -> None:
        if not (found := self._pick(lambda known: len(known.sent) < len(known.pieces))):
            known = Known(pieces=[self._random.randbytes(20_000) for _ in range(3)])
            attributes = _attributes(b"".join(known.pieces), 0)
            self.nodes[self._ask("POST", "/node", self._form(attributes, parts="3"))["id"]] = known
            return
        node, known = found
        number = self._random.choice([number for number in (1, 2, 3) if number not in known.sent])
        known.sent.add(number)
        self._ask("PUT", f"/node/{node}", self._form(None, [known.pieces[number - 1]], name=str(number)))
        known.arrived.add(number)

    def _attributes(self) -> None:
        if found := self._pick(lambda known: True):
            node, known = found
            version = known.versions[1] + 1
            known.versions = (known.versions[0], version)
            whole = known.content if known.content is not None else b"".join(known.pieces)
            self._ask("PUT", f"/node/{node}", self._form(_attributes(whole, version)))
            known.versions = (version, version)

    def _publish(self) -> None:
        if found := self._pick(lambda known: not known.public):
            self._ask("PUT", f"/node/{found[0]}/acl/public_read")
            found[1].public = True

    def _remove(self) -> None:
        if found := self._pick(lambda known: True):
            node, known = found
            known.deleting = True
            self._ask("DELETE", f"/node/{node}")
            known.deleted = True

    def _pick(self, fits: Any) -> tuple[str, Known] | None:
        fitting = [item for item in self.nodes.items() if not item[1].deleting and fits(item[1])]
        return self._random.choice(fitting) if fitting else None

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"OAuth {self._token}"}
        if body:
            headers |= {"Content-Type": "multipart/form-data; boundary=B", "Transfer-Encoding": "chunked"}
        self._server.request(method, path, body, headers, encode_chunked=bool(body))
        response = self._server.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200, (method, path, answer)
        return answer["data"]

    def _form(self, attributes: bytes | None, pieces: Any = None, *, name: str = "upload", **fields: str) -> Any:
        for key, value in fields.items():
            yield f'--B\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        if attributes:
            yield b'--B\r\nContent-Disposition: form-data; name="attributes"; filename="a"\r\n\r\n' + attributes
            yield b"\r\n"
        if pieces is not None:
            yield f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n\r\n'.encode()
            yield from pieces
            yield b"\r\n"
        yield b"--B--\r\n"


def _attributes(content: bytes, version: int) -> bytes:
    return json.dumps({"md5": hashlib.md5(content).hexdigest(), "version": version}).encode()
