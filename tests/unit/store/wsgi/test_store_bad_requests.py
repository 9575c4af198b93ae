"""Nonsense of all kinds is refused with a 4xx, changes nothing, and leaves nothing behind."""

import gzip
import json
import re
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skyport_wf.store.rows import DEEPEST, MOST_LEAVES
from skyport_wf.store.wsgi.forms import LARGEST_DOCUMENT

FORM = (
    b'--B\r\nContent-Disposition: form-data; name="attributes_str"\r\n\r\n{"k": "v"}\r\n'
    b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\ncontent\r\n--B--\r\n'
)
KIND = {"Content-Type": "multipart/form-data; boundary=B"}


def _is_clean(app):
    with app.store.database.read() as connection:
        return connection.execute("SELECT count(*) FROM node").fetchone()[0] == 0 and list(app.store.files) == []


def _part(header, content=b"x"):
    return b"--B\r\n" + header + b"\r\n\r\n" + content + b"\r\n--B--\r\n"


def test_the_form_is_good_as_it_is(alice):
    node = alice.call("POST", "/node", data=FORM, headers=KIND).json()["data"]
    assert (node["attributes"], node["file"]["size"]) == ({"k": "v"}, 7)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(FORM[:-6], id="without its end"),
        pytest.param(FORM[:120], id="cut off in a file"),
        pytest.param(FORM[:30], id="cut off in a header"),
        pytest.param(b"no form at all", id="no form"),
        pytest.param(_part(b"X: y"), id="no Content-Disposition"),
        pytest.param(_part(b"Content-Disposition: form-data"), id="no name"),
        pytest.param(_part(b'Content-Disposition: form-data; name="upload"'), id="upload is no file"),
        pytest.param(_part(b'Content-Disposition: form-data; name="upload"; filename=""'), id="no file chosen"),
        pytest.param(_part(b'Content-Disposition: form-data; name="nonsense"'), id="unknown field"),
        pytest.param(_part(b'Content-Disposition: form-data; name="nonsense"; filename="f"'), id="unknown file"),
        pytest.param(_part(b'Content-Disposition: form-data; name="upload"; filename="\xff"'), id="name is not UTF-8"),
        pytest.param(_part(b'Content-Disposition: form-data; name="gzip"; filename="f"'), id="not gzip"),
        pytest.param(_part(b'Content-Disposition: form-data; name="bzip2"; filename="f"'), id="not bzip2"),
        pytest.param(
            _part(b'Content-Disposition: form-data; name="gzip"; filename="f"', gzip.compress(b"x" * 999)[:-9]),
            id="gzip is cut off",
        ),
        pytest.param(FORM.replace(b'name="attributes_str"', b'name="1"; filename="f"'), id="a part and a file"),
        pytest.param(_part(b'Content-Disposition: form-data; name="1"; filename="f"'), id="a part of no parts node"),
        pytest.param(_part(b'Content-Disposition: form-data; name="parts"', b"close"), id="nothing to close"),
    ],
)
def test_broken_forms(body, alice, app):
    assert alice.call("POST", "/node", data=body, headers=KIND).status_code == 400
    assert _is_clean(app)


@pytest.mark.parametrize(
    "attributes",
    [
        b"", b"{", b"{'k': 1}", b'{"k": NaN}', b'{"k": 1e999}', b'{"k": ' + b"9" * 5000 + b"}",
        b'{"k": ' + b"9" * 400 + b"}",
        b'"\\ud800"', b'{"\\ud800": 1}', b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"k": 1} {"k": 2}', b"[" * 100_000,
        b'{"k":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1),
        json.dumps({"k": [0] * (MOST_LEAVES + 1)}).encode(),
    ],
    ids=lambda attributes: attributes[:12].decode("latin-1"),
)  # fmt: skip
def test_bad_attributes(attributes, alice, app):
    for files in ({"attributes": ("a.json", attributes)}, {"attributes_str": (None, attributes)}):
        response = alice.call("POST", "/node", files=files)
        assert response.status_code == 400, response.text
    assert _is_clean(app)


@pytest.mark.slow
@pytest.mark.parametrize(
    "attributes",
    [
        b"[" + b"{}," * 5_000_000 + b"{}]",
        b'{"k": [' + b"[]," * 5_000_000 + b"[]]}",
        b'["' + b'","'.join([b"x"] * 3_000_000) + b'"]',
        b"[" * 16_000_000,
        b'{"' + b'":1,"'.join(b"%d" % number for number in range(1_000_000)) + b'":1}',
    ],
    ids=["objects", "lists", "texts", "brackets", "keys"],
)
def test_attributes_of_too_many_values_cost_no_more_than_their_size(attributes, alice, app):
    form = (
        b'--B\r\nContent-Disposition: form-data; name="attributes"; filename="a"\r\n\r\n'
        + attributes
        + b"\r\n--B--\r\n"
    )
    tracemalloc.start()
    response = alice.call("POST", "/node", data=form, headers=KIND)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (response.status_code, response.json()["error"]) == (
        400,
        [f"attributes have more than {MOST_LEAVES} values"],
    )
    assert peak < 5 * len(attributes)
    assert _is_clean(app)


def test_texts_full_of_commas_and_brackets_are_few_values(alice):
    text = "FROM x\n" + 'RUN a["b"], {c}, \\"d\\",' * 100_000
    node = alice.upload(attributes={"dockerfile": text, "list": [[]] * 1000})
    assert node["attributes"]["dockerfile"] == text


@pytest.mark.parametrize("document", [b"null", b"[]", b"1", b'"text"', b'{"": ""}', b'{"a.b": 1, "$c": "\\u0000"}'])
def test_unusual_attributes_are_kept_as_they_are(document, alice):
    node = alice.call("POST", "/node", files={"attributes": ("a", document)}).json()["data"]
    assert node["attributes"] == json.loads(document)


@pytest.mark.slow
def test_attributes_have_a_limit(alice, app):
    fitting = b'{"k": "' + b"x" * (LARGEST_DOCUMENT - 9) + b'"}'
    for files in ({"attributes": ("a", fitting + b" ")}, {"attributes_str": (None, fitting + b" ")}):
        assert alice.call("POST", "/node", files=files).status_code == 413
    assert _is_clean(app)
    assert alice.call("POST", "/node", files={"attributes": ("a", fitting)}).status_code == 200


def test_a_form_has_a_limit_of_fields(alice, app):
    one = b'--B\r\nContent-Disposition: form-data; name="tags"\r\n\r\nx\r\n'
    assert alice.call("POST", "/node", data=one * 200 + b"--B--\r\n", headers=KIND).status_code == 200
    assert alice.call("POST", "/node", data=one * 201 + b"--B--\r\n", headers=KIND).status_code == 413


def test_a_forms_headers_have_a_limit(alice, app):
    body = _part(b'Content-Disposition: form-data; name="upload"; filename="f"\r\nX: ' + b"x" * 1_000_000)
    assert alice.call("POST", "/node", data=body, headers=KIND).status_code == 413
    assert _is_clean(app)


def test_what_follows_a_form_has_a_limit(alice, app):
    assert alice.call("POST", "/node", data=FORM + b"x" * 1_000_000, headers=KIND).status_code == 413
    assert _is_clean(app)


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("tags", "x" * 70_000, 413),
        ("tags", ",".join(map(str, range(1001))), 400),
        ("file_name", "x" * 1001, 400),
        ("format", "x" * 1001, 400),
        ("priority", "1.5", 400),
        ("priority", "9" * 30, 400),
        ("expiration", "-1D", 400),
        ("expiration", "1Y", 400),
        ("expiration", "9999999D", 400),
        ("expiration", "", 400),
        ("parts", "-1", 400),
        ("parts", "1e3", 400),
        ("parts", "", 400),
        ("copy_data", "no-such-node", 404),
        ("copy_data", "../../etc/passwd", 404),
    ],
)
def test_bad_fields(field, value, status, alice, app):
    assert alice.call("POST", "/node", files={field: (None, value)}).status_code == status
    assert _is_clean(app)


@pytest.mark.parametrize("expiration", ["999999D", "999999M"])
def test_far_expirations_are_no_trouble(expiration, alice):
    assert alice.upload(expiration=expiration)["expiration"] > "2027"


@pytest.mark.parametrize("what", ["", "?download", "/acl/", "/acl/read?users=bob"])
@pytest.mark.parametrize(
    "identity",
    [
        "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2fshock.sqlite", "shock.sqlite", "%00", "%F0%9F%90%8D", "%FF",
        "00000000-0000-4000-8000-00000000000", "00000000-0000-4000-8000-0000000000000", "x" * 10_000,
        "A0000000-0000-4000-8000-000000000000", "ffffffff-ffff-4fff-8fff-fffffffffff%0A",
    ],
    ids=lambda identity: identity[:20],
)  # fmt: skip
def test_ids_that_are_none(identity, what, alice):
    for method in ("GET", "PUT", "DELETE"):
        response = alice.call(
            method, f"/node/{identity}{what}", files={"tags": (None, "x")} if method == "PUT" else None
        )
        assert response.status_code in (400, 404)
        assert b"root:" not in response.content


@pytest.mark.parametrize(
    "path",
    ["/../../etc/passwd", "/node/../../../etc/passwd", "//etc/passwd", "/nodes", "/node/a/b/c", "/node/x/acl/y/z"],
)
def test_addresses_that_are_none(path, app, alice):
    answered = []
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": ""}
    body = b"".join(app(environ, lambda status, headers: answered.append(status)))
    assert answered[0].startswith("400")
    assert json.loads(body)["error"] == ["Parameters do not match a valid Shock request type."]


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/node"), ("DELETE", "/node"), ("PATCH", "/node/x"), ("POST", "/"), ("TRACE", "/node")]
)
def test_methods_that_are_none(method, path, alice):
    assert alice.call(method, path).status_code == 400


@pytest.mark.parametrize("seek", ["-1", "1.5", "x", "", "99999999999999999999", "²"])
def test_bad_ranges(seek, alice):
    node = alice.upload(b"0123456789")["id"]
    assert alice.get(f"/node/{node}?download&seek={seek}").status_code == 400
    assert alice.get(f"/node/{node}?download&length={seek}").status_code == 400


def test_acl_requests_without_users(alice):
    node = alice.upload()["id"]
    assert alice.put(f"/node/{node}/acl/read").status_code == 400
    assert alice.put(f"/node/{node}/acl/read?users=").status_code == 400
    assert alice.put(f"/node/{node}/acl/read?users=a,,b").status_code == 400
    assert alice.put(f"/node/{node}/acl/read?users=public").status_code == 400
    assert alice.put(f"/node/{node}/acl/owner?users=a,b").status_code == 400
    assert alice.delete(f"/node/{node}/acl/owner?users=alice").status_code == 400
    assert alice.put(f"/node/{node}/acl/read?users=" + ",".join(f"u{n}" for n in range(1001))).status_code == 400
    acl = alice.get(f"/node/{node}/acl/").json()["data"]
    assert acl["read"] == [acl["owner"]]


def test_acl_users_may_come_in_a_form(alice, bob):
    node = alice.upload()["id"]
    assert alice.put(f"/node/{node}/acl/read", files={"users": (None, "bob")}).status_code == 200
    assert bob.get(f"/node/{node}").status_code == 200


def test_a_put_without_a_form_is_refused(alice):
    node = alice.upload()["id"]
    assert alice.put(f"/node/{node}", data=b"raw").status_code == 400
    assert alice.put(f"/node/{node}", json={"k": "v"}).status_code == 400
    assert alice.put(f"/node/{node}").status_code == 400


@pytest.mark.slow
def test_a_gzip_bomb_takes_disk_and_not_memory(alice):
    bomb = gzip.compress(b"\0" * 64_000_000)
    tracemalloc.start()
    node = alice.call("POST", "/node", files={"gzip": ("bomb.gz", bomb)}).json()["data"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert node["file"]["size"] == 64_000_000
    assert peak < 10_000_000


_ANYWHERE = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.slow
@_ANYWHERE
@given(
    cuts=st.lists(
        st.tuples(st.integers(0, len(FORM)), st.integers(0, 20), st.binary(max_size=20)), min_size=1, max_size=4
    )
)
def test_mangled_forms_are_refused_or_read(cuts, alice):
    body = FORM
    for start, length, instead in cuts:
        body = body[:start] + instead + body[start + length :]
    response = alice.call("POST", "/node", data=body, headers=KIND)
    assert response.status_code in (200, 400, 413), response.text


@pytest.mark.slow
@_ANYWHERE
@given(
    content=st.lists(st.sampled_from((b"\r", b"\n", b"\r\n", b"-", b"--", b"B", b"--B", b"x", b"B--")), max_size=30),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=20),
)
def test_content_like_boundaries_is_kept_however_it_is_cut(content, sizes, alice):
    # No client chooses a boundary that begins a line of its content.
    content = re.sub(rb"(\A|\r|\n)--B", rb"\1x--B", b"".join(content))
    body = b'--B\r\nContent-Disposition: form-data; name="upload"; filename="f"\r\n\r\n' + content + b"\r\n--B--\r\n"
    pieces = []
    while body:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(body[:size])
        body = body[size:]
    response = alice.call("POST", "/node", data=iter(pieces), headers=KIND)
    assert response.status_code == 200, response.text
    assert alice.get(f"/node/{response.json()['data']['id']}?download").content == content


@pytest.mark.slow
@_ANYWHERE
@given(
    kind=st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=60), body=st.binary(max_size=200)
)
def test_any_content_type_is_read_or_refused(kind, body, alice):
    for content_type in (kind, f"multipart/form-data; boundary={kind}"):
        headers = {"Content-Type": content_type.strip().encode("latin-1")}
        response = alice.call("POST", "/node", data=body, headers=headers)
        assert response.status_code in (200, 400, 413), response.text


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.slow
@_ANYWHERE
@given(document=_JSON)
def test_attributes_come_back_as_they_were_sent(document, alice):
    node = alice.upload(attributes=document)
    assert node["attributes"] == document
    assert alice.get(f"/node/{node['id']}").json()["data"]["attributes"] == document


@pytest.mark.slow
@_ANYWHERE
@given(
    key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=20),
    value=st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_any_query_is_answered_or_refused(key, value, alice):
    for word in ("query", "querynode"):
        response = alice.get("/node", params={word: "", key: value})
        assert response.status_code in (200, 400), response.text


@pytest.mark.slow
@_ANYWHERE
@given(header=st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), min_size=1, max_size=60))
def test_any_authorization_but_a_token_is_refused(header, nobody):
    assert nobody.get("/node?query", headers={"Authorization": b"x" + header.encode("latin-1")}).status_code == 400
