"""What AWE's own code chose, or how it failed, for 54 sets of nodes on a real Shock server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from skyport_wf.publication.awe_lookup import AweLookupError
from skyport_wf.publication.resolve import resolve
from skyport_wf.shock.client import ShockClient
from skyport_wf.store.opening import open_store
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL, WSGITransport
from tests.support.own_server import running_server

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("awe_cases.json").read_text())
IMAGE_ID = "sha256:" + "0" * 64
PRIVATE = "private node, anonymous worker"


@pytest.fixture(scope="module", params=["in process", "over HTTP"])
def clients(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ShockClient]]:
    """Someone who publishes, and a worker without a token."""
    with open_store(tmp_path_factory.mktemp("shock")) as store:
        app = ShockApp(store)
        token = add_user(store.database, "publisher")
        if request.param == "over HTTP":
            with running_server(app) as server:
                yield [ShockClient(server.url, token=token), ShockClient(server.url)]
            return
        session = requests.Session()
        session.mount(EMBEDDED_URL, WSGITransport(app))
        others = requests.Session()
        others.mount(EMBEDDED_URL, WSGITransport(app))
        yield [ShockClient(EMBEDDED_URL, token=token, session=session), ShockClient(EMBEDDED_URL, session=others)]


def nodes_of(case: dict[str, Any]) -> list[dict[str, Any]]:
    repository = case["asked"].partition(":")[0]
    tagged = [
        {"type": "dockerimage", "name": f"{repository}:{tag}", "repository": repository, "tag": tag, "id": IMAGE_ID}
        for tag in case.get("tags_oldest_first", [])
    ]
    return tagged or case.get("nodes", [])


def test_all_cases_are_there():
    assert len(CASES) == 54
    assert all(("awe_chooses_tag" in case) != ("awe_fails" in case) for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.get("what") or case["asked"])
def test_a_worker_gets_what_awe_chose(clients: list[ShockClient], case: dict[str, Any]):
    publisher, worker = clients
    for attributes in nodes_of(case):
        node = publisher.create(lambda: [b"x"], file_name="x.tar.gz", attributes=attributes, expiration="2D")
        if case.get("what") != PRIVATE:
            publisher.set_public(node.id, True)
    if "awe_fails" in case:
        with pytest.raises(AweLookupError, match="AWE worker"):
            resolve(worker, case["asked"])
    else:
        chosen = resolve(worker, case["asked"])
        assert chosen.attributes is not None
        assert chosen.attributes["tag"] == case["awe_chooses_tag"]
