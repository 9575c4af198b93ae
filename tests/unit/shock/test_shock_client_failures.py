"""The client against a real HTTP server that fails in every way there is."""

import gzip
import json
import logging
import socket
import traceback

import msgspec
import pytest

from skyport_wf.errors import AlteredError, ShockError, TemporaryError
from skyport_wf.shock import client as client_module
from skyport_wf.shock import connection
from skyport_wf.shock.client import ShockClient
from skyport_wf.shock.connection import ShockRefusalError
from skyport_wf.shock.node import Node
from tests.support.failing_server import NODE, RESET, SILENCE, Answer, FailingServer, envelope, refusal

TOKEN = "s3cr3t-t0ken"
HTML = Answer(200, b"<html>Welcome to nginx!</html>", {"Content-Type": "text/html"})
N = NODE["id"]


@pytest.fixture
def client(failing_server: FailingServer) -> ShockClient:
    return ShockClient(failing_server.url, token=TOKEN, token_from="KB_AUTH_TOKEN")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "30")


@pytest.fixture(autouse=True)
def no_token_in_the_log(caplog: pytest.LogCaptureFixture):
    """Whatever happens, the token is in no message of any library."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert TOKEN not in caplog.text


def create(client: ShockClient, size: int | None = None):
    return client.create(lambda: [b"x" * 1000], file_name="x", attributes={}, expiration="2D", size=size)


def message_of(caught: pytest.ExceptionInfo[BaseException]) -> str:
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_that_fails_is_temporary_and_never_absence(client, failing_server, status):
    failing_server.answers = [Answer(status, b"<html>")]
    for ask in (lambda: client.find(N), lambda: client.query({}), lambda: create(client)):
        with pytest.raises(TemporaryError) as caught:
            ask()
        assert message_of(caught).startswith(f"Shock at {client.url} answers ")
        assert message_of(caught).endswith(f" with HTTP {status}.")


@pytest.mark.parametrize(
    "failures", [[Answer(500), Answer(503)], [Answer(429), RESET], [RESET, HTML._replace(status=502)]]
)
def test_a_server_that_recovers_is_asked_again_with_a_line_for_each_time(
    client, failing_server, patient, caplog, failures
):
    failing_server.answers = [*failures, envelope(NODE)]
    node = client.find(N)
    assert node is not None
    assert node.id == N
    assert len(failing_server.seen) == 3
    lines = [record.getMessage() for record in caplog.records if record.name == "skyport_wf.retries"]
    assert len(lines) == 2
    assert all(line.startswith(f"Shock at {client.url} ") and "Trying again in " in line for line in lines)


@pytest.mark.parametrize("size", [None, 1000])
def test_an_upload_is_sent_whole_each_time(client, failing_server, patient, size):
    none_made = envelope([], total_count=0)
    failing_server.answers = [Answer(503), none_made, RESET, none_made, envelope(NODE)]
    assert create(client, size).id == N
    # Before it is sent again, Shock is asked whether only the answer was lost.
    assert [request.method for request in failing_server.seen] == ["POST", "GET", "POST", "GET", "POST"]
    uploads = failing_server.seen[::2]
    assert len({request.size for request in uploads}) == 1
    assert uploads[0].size > 1000
    chunked = [request.headers.get("Transfer-Encoding") for request in uploads]
    assert chunked == ([None] * 3 if size else ["chunked"] * 3)


def test_an_upload_whose_answer_was_lost_is_not_sent_again(client, failing_server, patient):
    failing_server.answers = [RESET, envelope([NODE], total_count=1)]
    assert create(client).id == N
    assert [request.method for request in failing_server.seen] == ["POST", "GET"]
    assert "attempt=" in failing_server.seen[1].path


def test_a_download_is_asked_for_again(client, failing_server, patient):
    failing_server.answers = [Answer(503), Answer(200, b"content")]
    with client.download(N) as stream:
        assert stream.read() == b"content"
    assert [request.path for request in failing_server.seen] == [f"/node/{N}?download="] * 2


@pytest.mark.parametrize("part", [None, (0, 3)])
def test_a_download_is_asked_for_as_it_is_stored(client, failing_server, part):
    """A proxy that may compress answers sends those who accept that other bytes than the MD5 is of."""
    failing_server.answers = [Answer(200, b"content", {"Content-Encoding": "identity"})]
    with client.download(N, part=part) as stream:
        assert stream.read() == b"content"
    assert failing_server.seen[0].headers["Accept-Encoding"] == "identity"


def test_a_download_that_is_compressed_all_the_same_is_not_called_damaged(client, failing_server):
    failing_server.answers = [Answer(200, gzip.compress(b"content"), {"Content-Encoding": "gzip"})]
    with pytest.raises(AlteredError) as caught, client.download(N):
        pass
    assert message_of(caught) == (
        f"something in front of {client.url} changes the bytes of files: it compresses them, though it is asked not "
        "to. Have its operator switch that off for downloads."
    )


def test_a_reset_connection(client, failing_server):
    failing_server.answers = [RESET]
    with pytest.raises(TemporaryError) as caught:
        client.find(N)
    assert message_of(caught) == (
        f"Shock at {client.url} cannot be reached: Connection reset by peer. `skyport-wf doctor` checks it."
    )


def test_an_answer_that_is_cut_off(client, failing_server):
    failing_server.answers = [envelope(NODE)._replace(cut_off=True)]
    with pytest.raises(TemporaryError, match="cannot be reached: "):
        client.find(N)


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(TemporaryError) as caught:
            ShockClient(url, token=TOKEN).find(N)
    assert message_of(caught) == (
        f"Shock at {url} cannot be reached: Connection refused. `skyport-wf doctor` checks it."
    )


def test_a_host_that_does_not_exist():
    with pytest.raises(TemporaryError, match=r"^Shock at http://shock\.invalid cannot be reached: ") as caught:
        ShockClient("http://shock.invalid", token=TOKEN).find(N)
    assert "object at 0x" not in message_of(caught)


def test_a_server_that_says_nothing(client, failing_server, monkeypatch):
    monkeypatch.setattr(connection, "_SILENCE_SECONDS", 0.2)
    failing_server.answers = [SILENCE]
    with pytest.raises(TemporaryError) as caught:
        client.find(N)
    assert message_of(caught) == f"Shock at {client.url} cannot be reached: timed out. `skyport-wf doctor` checks it."


@pytest.mark.parametrize(
    "answer",
    [
        HTML,
        Answer(200, b""),
        Answer(200, b"null"),
        Answer(200, b"[]"),
        Answer(200, b"{}"),
        Answer(200, b"\xff"),
        envelope(None),
        envelope({"id": 5}),
        envelope({**NODE, "parts": "\ud800", "public": {"read": "\ud800"}, "owner": "x"}),
        envelope("text"),
        Answer(204),
    ],
)
def test_something_else_than_shock(client, failing_server, answer):
    failing_server.answers = [answer]
    for ask in (lambda: client.find(N), lambda: create(client), lambda: client.read_access(N)):
        with pytest.raises(ShockError, match=f"^{client.url} answers .*with something else than Shock does") as caught:
            ask()
        assert not isinstance(caught.value, ShockRefusalError)


@pytest.mark.parametrize("answer", [HTML, envelope("text"), envelope([{"id": 5}]), envelope({"id": N})])
def test_something_else_than_a_list_of_nodes(client, failing_server, answer):
    failing_server.answers = [answer]
    with pytest.raises(ShockError, match="with something else than Shock does"):
        client.query({})


def test_something_else_that_speaks_json(client, failing_server):
    failing_server.answers = [Answer(200, b'{"id": "Something"}')]
    with pytest.raises(ShockError, match=f"^{client.url} answers, but it is not a Shock server$"):
        client.read_server()
    failing_server.answers = [HTML]
    with pytest.raises(ShockError, match="answers GET / with something else than Shock does"):
        client.read_server()


@pytest.mark.parametrize("total", [{}, {"total_count": None}, {"total_count": 0}])
def test_a_list_without_a_count_ends_with_its_page(client, failing_server, total):
    failing_server.answers = [envelope([NODE], **total)]
    assert [node.id for node in client.query({})] == [N]


@pytest.mark.parametrize(("error", "said"), [(["mongo", "is away"], "mongo; is away"), ("away", "away"), (5, "5")])
def test_a_failure_that_comes_with_http_200_is_no_answer(client, failing_server, error, said):
    """As behind a proxy that knows no other status: it was taken for a Shock without nodes."""
    failing_server.answers = [envelope(None, error=error)]
    for ask in (lambda: client.query({}), lambda: client.find(N)):
        with pytest.raises(ShockRefusalError, match=f"refuses GET .*: {said}$"):
            ask()


def test_a_server_without_tls_is_told_with_nothing_about_certificates(failing_server):
    url = failing_server.url.replace("http://", "https://")
    with pytest.raises(ShockError) as caught:
        ShockClient(url).find(N)
    told = "cannot be trusted: it does not speak TLS; perhaps its URL begins with http://."
    assert str(caught.value) == f"Shock at {url} {told}"


def test_no_nodes_at_all(client, failing_server):
    failing_server.answers = [envelope(None, total_count=0)]
    assert client.query({}) == []


def test_a_count_that_is_too_high_does_not_go_on_forever(client, failing_server):
    failing_server.answers = [envelope([NODE], total_count=10), envelope([], total_count=10)]
    assert len(client.query({})) == 1


def test_pages_of_ever_other_nodes_end_the_list(client, failing_server, monkeypatch):
    """As while someone deletes without end: a listing goes back only so often."""
    monkeypatch.setattr(client_module, "_MOST_TURNS", 3)
    pages = [[{**NODE, "id": f"{number}-{place}"} for place in range(100)] for number in range(20)]
    failing_server.answers = [envelope(page, total_count=500) for page in pages]
    assert len(client.query({})) >= 500
    assert len(failing_server.seen) == 12


def test_a_page_that_comes_again_and_again_ends_the_list(client, failing_server):
    failing_server.answers = [envelope([NODE, NODE], total_count=10**18)]
    assert [node.id for node in client.query({})] == [N]
    assert len(failing_server.seen) == 2


@pytest.mark.parametrize("count", ["many", [1], {"a": 1}, True])
def test_a_count_that_is_none(client, failing_server, count):
    failing_server.answers = [envelope([NODE], total_count=count)]
    with pytest.raises(
        ShockError, match=r"something else than Shock does: Expected `int \| null`, .* `\$.total_count`"
    ):
        client.query({})


@pytest.mark.parametrize("changed", [{"id": "../node/x"}, {"id": "x\n"}, {"id": ""}, {"file": {"size": -1}}])
def test_a_node_that_no_shock_has(client, failing_server, changed):
    failing_server.answers = [envelope([{**NODE, **changed}])]
    with pytest.raises(ShockError, match="answers with something else than Shock does"):
        client.query({})


@pytest.mark.parametrize("attributes", [[1], [{"type": "dockerimage"}], "text", "\ud800", 0, False, None])
def test_attributes_of_anyone_that_are_no_object_are_none(client, failing_server, attributes):
    odd = {**NODE, "id": "odd", "attributes": attributes}
    failing_server.answers = [envelope([odd, NODE])]
    for ask in (lambda: client.query({}), lambda: client.find_by_md5("0" * 32, limit=3)):
        assert [(node.id, node.attributes) for node in ask()] == [("odd", None), (N, {})]
    failing_server.answers = [envelope(odd)]
    node = client.find("odd")
    assert node is not None
    assert node.attributes is None


def test_what_is_asked_of_a_query(client, failing_server):
    failing_server.answers = [envelope([])]
    client.query({"type": "a b", "name": "x/y:1*"}, limit=25)
    assert failing_server.seen[0].path == "/node?query=&type=a+b&name=x%2Fy%3A1%2A&limit=25&offset=0"


def test_only_a_404_is_absence(client, failing_server):
    for answer in (refusal(404, "Node not found"), Answer(404, b"<html>")):
        failing_server.answers = [answer]
        assert client.find(N) is None
    for status in (400, 401, 403, 405, 410):
        failing_server.answers = [refusal(status, "no")]
        with pytest.raises(ShockRefusalError) as caught:
            client.find(N)
        assert caught.value.status == status


def test_who_may_ask_nothing_is_told_from_what_else_is_refused(client, failing_server):
    failing_server.answers = [envelope([])]
    assert client.may_ask()
    for status in (400, 401, 403):
        failing_server.answers = [refusal(status, "no")]
        assert not client.may_ask()
    for status in (409, 410, 507):
        failing_server.answers = [refusal(status, "no")]
        with pytest.raises(ShockRefusalError, match="no"):
            client.may_ask()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(400, "Invalid id"), "Invalid id"),
        (Answer(400, b'{"error": ["one", "two"]}'), "one; two"),
        (Answer(400, b'{"error": null}'), "HTTP 400"),
        (Answer(400, b"[]"), "HTTP 400"),
        (Answer(403, b"<html>no</html>"), "HTTP 403"),
        (refusal(501, "not implemented"), "not implemented"),
        (refusal(401, "No Authorization"), "No Authorization. The token in KB_AUTH_TOKEN is not one that may do this."),
        (
            refusal(400, "Invalid authorization header or content"),
            "Invalid authorization header or content. The token in KB_AUTH_TOKEN is not one that may do this.",
        ),
        # A full disk is not mended in a minute.
        (refusal(507, "the server's disk is full: 1 kB are free"), "the server's disk is full: 1 kB are free"),
        (Answer(401, b"<html>"), "HTTP 401. The token in KB_AUTH_TOKEN is not one that may do this."),
    ],
)
def test_a_refusal_is_not_repeated_and_says_what_the_server_said(client, failing_server, patient, answer, said):
    failing_server.answers = [answer]
    with pytest.raises(ShockRefusalError) as caught:
        create(client)
    assert message_of(caught) == f"Shock at {client.url} refuses POST /node: {said}"
    assert len(failing_server.seen) == 1


def test_a_server_that_echoes_the_token_into_its_refusal(client, failing_server):
    failing_server.answers = [refusal(401, f"unknown token {TOKEN}")]
    with pytest.raises(ShockRefusalError) as caught:
        create(client)
    assert message_of(caught).startswith(f"Shock at {client.url} refuses POST /node: unknown token (the token). ")


@pytest.mark.parametrize("words", [["x" * 300_000], ["x" * 490 + TOKEN], ["xyz"] * 1000])
def test_only_the_start_of_a_long_refusal_is_shown(client, failing_server, words):
    failing_server.answers = [Answer(400, json.dumps({"error": words}).encode())]
    with pytest.raises(ShockRefusalError) as caught:
        create(client)
    said = message_of(caught).removeprefix(f"Shock at {client.url} refuses POST /node: ")
    assert said.startswith("x")
    assert len(said) == 500
    assert said.endswith("...")
    assert TOKEN[:5] not in said


@pytest.fixture
def elsewhere():
    with FailingServer() as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_what_changes_something_is_not_sent_elsewhere(client, failing_server, elsewhere, status):
    failing_server.answers = [Answer(status, b"", {"Location": f"{elsewhere.url}/node"})]
    for request, ask, target in (
        ("POST /node", lambda: create(client), ""),
        # Not what was asked for: then all of it may be what is wanted.
        (f"PUT /node/{N}", lambda: client.replace_attributes(N, {}), "/node"),
        (f"DELETE /node/{N}", lambda: client.delete(N), "/node"),
    ):
        with pytest.raises(ShockError) as caught:
            ask()
        assert message_of(caught) == (
            f"{client.url} sends {request} elsewhere. Give the URL that it redirects to: {elsewhere.url}{target}."
        )
    assert not elsewhere.seen


def test_a_redirect_to_nowhere(client, failing_server):
    failing_server.answers = [Answer(304)]
    with pytest.raises(ShockError) as caught:
        client.delete(N)
    assert message_of(caught) == f"{client.url} sends DELETE /node/{N} elsewhere. Give the URL that it redirects to."


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("answer", [envelope(NODE), refusal(401, "User Unauthorized"), refusal(404, "Node not found")])
def test_a_question_that_lost_its_token_on_the_way_has_no_answer(client, failing_server, elsewhere, host, answer):
    target = f"http://somebody:s3cret@{host}:{elsewhere.port}/shock/node/{N}?query"
    failing_server.answers = [Answer(302, b"", {"Location": target})]
    elsewhere.answers = [answer]
    with pytest.raises(ShockError) as caught:
        client.find(N)
    assert message_of(caught) == (
        f"{client.url} sends GET /node/{N} elsewhere. Give the URL that it redirects to: "
        f"http://{host}:{elsewhere.port}/shock."
    )
    assert [request.headers.get("Authorization") for request in failing_server.seen] == [f"OAuth {TOKEN}"]
    assert [request.headers.get("Authorization") for request in elsewhere.seen] == [None]


def test_a_question_without_a_token_follows_to_another_server(failing_server, elsewhere):
    failing_server.answers = [Answer(302, b"", {"Location": f"{elsewhere.url}/node/{N}"})]
    client = ShockClient(failing_server.url)
    assert client.elsewhere is None
    assert client.find(N) is not None
    assert f"redirects to: {elsewhere.url}." in str(client.elsewhere)


def test_a_download_follows_to_another_server_but_the_token_does_not(client, failing_server, elsewhere):
    failing_server.answers = [Answer(307, b"", {"Location": f"http://localhost:{elsewhere.port}/file"})]
    elsewhere.answers = [Answer(200, b"content")]
    with client.download(N) as stream:
        assert stream.read() == b"content"
    assert "Authorization" not in elsewhere.seen[0].headers


def test_a_server_that_redirects_in_a_circle(client, failing_server):
    failing_server.answers = [Answer(302, b"", {"Location": f"{failing_server.url}/node/{N}"})]
    with pytest.raises(ShockError, match=r"cannot be asked: Exceeded 30 redirects\.$") as caught:
        client.find(N)
    message_of(caught)


def test_a_download_that_is_refused(client, failing_server):
    failing_server.answers = [refusal(401, "No Authorization")]
    with (
        pytest.raises(ShockRefusalError, match=rf"refuses GET /node/{N}\?download: No Authorization\. "),
        client.download(N),
    ):
        pass


def test_a_file_that_the_server_has_lost_is_no_temporary_trouble(client, failing_server):
    lost = refusal(500, "the node is damaged: the file is missing")
    for ask in (lambda: client.download(N).__enter__(), lambda: client.read_start(msgspec.convert(NODE, Node), 2)):
        failing_server.answers = [lost, envelope(NODE)]
        with pytest.raises(ShockError) as caught:
            ask()
        assert message_of(caught) == (
            f"the file of node {N} cannot be read: Shock at {client.url} answers GET /node/{N} with HTTP 500: the node "
            "is damaged: the file is missing."
        )


@pytest.mark.parametrize("answers", [[500, 500], [500, 503], [503, 200]])
def test_a_server_that_fails_at_everything_is_temporary_for_a_file_too(client, failing_server, answers):
    failing_server.answers = [refusal(status, "no connection to MongoDB") for status in answers]
    with pytest.raises(TemporaryError) as caught, client.download(N):
        pass
    assert message_of(caught).endswith(f" with HTTP {answers[0]}: no connection to MongoDB.")


def test_a_server_that_says_that_no_try_will_help_is_not_asked_again(client, failing_server, patient):
    lost = refusal(500, "the file is missing")._replace(headers={"Retry-After": "86400"})
    failing_server.answers = [lost, envelope(NODE)]
    with pytest.raises(ShockError, match=r"cannot be read: .*the file is missing"), client.download(N):
        pass
    assert len(failing_server.seen) == 2


def test_the_time_to_try_is_honoured(client, failing_server, monkeypatch):
    failing_server.answers = [Answer(503)]
    with pytest.raises(TemporaryError):
        client.find(N)
    assert len(failing_server.seen) == 1
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0.5")
    with pytest.raises(TemporaryError):
        client.find(N)
    assert len(failing_server.seen) > 2


def test_a_server_that_stays_away_is_not_waited_for_again_until_it_answers(client, failing_server, monkeypatch):
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0.5")
    failing_server.answers = [Answer(503)]

    def attempts() -> int:
        before = len(failing_server.seen)
        with pytest.raises(TemporaryError):
            client.find(N)
        return len(failing_server.seen) - before

    assert attempts() > 1
    assert (attempts(), attempts()) == (1, 1)
    failing_server.answers = [refusal(404, "Node not found")]
    with pytest.raises(ShockRefusalError), client.download(N):
        pass
    failing_server.answers = [Answer(503)]
    assert attempts() > 1


NODE_OF_TEN = msgspec.convert({**NODE, "file": {"size": 10, "checksum": {"md5": "0" * 32}}}, Node)


@pytest.mark.parametrize(
    "broken", [Answer(200, bytes(10))._replace(cut_off=True), Answer(200, bytes(5)), Answer(200), RESET]
)
def test_the_start_of_a_file_is_asked_for_again_where_the_connection_breaks(client, failing_server, patient, broken):
    failing_server.answers = [broken, Answer(200, b"0123456789")]
    assert client.read_start(NODE_OF_TEN, 8) == b"01234567"
    assert [request.path for request in failing_server.seen] == [f"/node/{N}?download=&seek=0&length=8"] * 2


def test_a_connection_that_breaks_each_time_before_the_start_of_a_file_came_is_temporary(client, failing_server):
    failing_server.answers = [Answer(200, bytes(10))._replace(cut_off=True)]
    with pytest.raises(TemporaryError) as caught:
        client.read_start(NODE_OF_TEN, 8)
    assert message_of(caught).startswith(f"the download of node {N} from {client.url} broke off after 5 of 8 bytes: ")


def test_a_file_may_be_smaller_than_the_start_that_is_asked_for(client, failing_server):
    failing_server.answers = [Answer(200, b"0123456789")]
    assert client.read_start(NODE_OF_TEN, 100) == b"0123456789"
    assert len(failing_server.seen) == 1
