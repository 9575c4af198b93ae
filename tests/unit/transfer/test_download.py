"""A node's file as it comes: as many bytes as it has, and those that the server announced."""

import hashlib

import msgspec
import pytest

from skyport_wf.errors import AlteredError, ShockError, TemporaryError
from skyport_wf.progress import UNSEEN
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.node import Node
from skyport_wf.transfer.download import Download, open_download
from tests.support.failing_server import NODE, Answer, FailingServer

CONTENT = b"0123456789"


def node_with(content: bytes) -> Node:
    file = {"size": len(content), "checksum": {"md5": hashlib.md5(content, usedforsecurity=False).hexdigest()}}
    return msgspec.convert({**NODE, "file": file}, Node)


class Endless:
    """An answer that goes on behind the file."""

    def __init__(self, start: bytes) -> None:
        self.rest = start

    def read(self, size: int) -> bytes:
        assert 0 < size <= len(self.rest), "more is asked for than the file has"
        piece, self.rest = self.rest[:size], self.rest[size:]
        return piece


def read_endless(start: bytes) -> bytes:
    return b"".join(Download(Endless(start), node_with(CONTENT), "lab/tool:1", UNSEEN).pieces())  # type: ignore[arg-type]


def test_what_comes_behind_the_file_is_neither_read_nor_waited_for() -> None:
    assert read_endless(CONTENT) == CONTENT


def test_another_file_is_damaged_as_soon_as_it_has_as_many_bytes() -> None:
    with pytest.raises(ShockError, match="the file of lab/tool:1 is damaged: it has MD5 "):
        read_endless(b"x" * len(CONTENT))


def download(server: FailingServer, answer: Answer) -> bytes:
    server.answers = [answer]
    with open_download(ShockClient(server.url), node_with(CONTENT), "lab/tool:1", UNSEEN) as stream:
        return b"".join(stream.pieces())


@pytest.mark.parametrize("body", [b"<html>", b'{"status":500,"data":null,"error":["disk"]}', b""])
def test_a_page_in_the_place_of_the_file_is_told_as_that(failing_server: FailingServer, body: bytes) -> None:
    with pytest.raises(AlteredError) as caught:
        download(failing_server, Answer(200, body))
    assert str(caught.value) == (
        f"{failing_server.url}, or something in front of it, sends something else than the file of node {NODE['id']}: "
        f"it has {len(body)} bytes, the file has 10. Perhaps it is a page to log in, or tells of an error."
    )


def test_a_connection_that_breaks_is_temporary(failing_server: FailingServer) -> None:
    assert download(failing_server, Answer(200, CONTENT)) == CONTENT
    with pytest.raises(TemporaryError, match=r"broke off after [05] of 10 bytes"):
        download(failing_server, Answer(200, CONTENT, cut_off=True))
