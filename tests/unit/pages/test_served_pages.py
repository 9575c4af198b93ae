"""The pages as a browser gets them, without one: what is answered to whom, and what is refused."""

import logging
import re
import time
from collections.abc import Iterator
from urllib.parse import urlencode, urljoin

import pytest
from werkzeug.test import Client, TestResponse

from skyport_wf.pages.app import PagesApp
from tests.support.shown_images import HARM, Shown

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ORIGIN = {"Origin": "http://localhost"}


class Reader:
    """Someone with a browser."""

    def __init__(self, shown: Shown) -> None:
        self._client = Client(shown.app)

    def get(self, path: str, **headers: str) -> TestResponse:
        return self._client.get(path, headers={**HTML, **headers})

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> TestResponse:
        return self._client.post(path, data=form or {}, headers=HTML | (headers or ORIGIN))

    def log_in(self, token: str) -> TestResponse:
        return self.post("/catalogue/login", {"token": token})


@pytest.fixture
def reader(shown: Shown) -> Reader:
    return Reader(shown)


@pytest.fixture
def alice(shown: Shown) -> Iterator[Reader]:
    reader = Reader(shown)
    assert reader.log_in(shown.tokens["alice"]).status_code == 303
    yield reader
    reader.post("/catalogue/logout")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (HTML["Accept"], "text/html"),
        ("text/html", "text/html"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
        ("", "application/json"),
    ],
)
def test_the_root_is_a_page_for_those_who_prefer_html(shown, accept, kind):
    answer = Client(shown.app).get("/", headers={"Accept": accept} if accept else {})
    assert answer.status_code == 200
    assert answer.mimetype == kind
    assert "Accept" in answer.headers["Vary"]


def test_shock_and_the_registry_answer_beside_the_pages(shown, reader):
    assert reader.get(f"/node/{shown.nodes['lab/samtools:1.17']}").json["status"] == 200
    assert reader.get("/v2/lab/samtools/tags/list", Authorization="Bearer anonymous").json["tags"] == ["1.16.1", "1.17"]


def test_the_log_of_the_server_gets_who_is_logged_in(shown: Shown) -> None:
    asked = []
    client = Client(lambda environ, start: (asked.append(environ), shown.app(environ, start))[1])

    def logged(path: str, **request: object) -> object:
        client.open(path, headers=HTML | ORIGIN, **request)
        return asked[-1].get("REMOTE_USER")

    token = {"token": shown.tokens["alice"]}
    assert logged("/") is None
    assert logged("/catalogue/login", method="POST", data={"token": "wrong"}) is None
    assert logged("/catalogue/login", method="POST", data=token) == "alice"
    assert [logged(path) for path in ("/", "/catalogue/packages", "/catalogue/none")] == ["alice"] * 3
    assert logged("/catalogue/logout", method="POST") == "alice"
    assert logged("/") is None


def test_the_list_has_images_with_tags(reader):
    page = reader.page("/")
    assert "3 images in 2 repositories." in page
    assert page.index(">1.17</a>") < page.index(">1.16.1</a>")
    assert "lab/secret" not in page


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("?q=samtools", 1),
        ("?q=SAM+1.16", 1),
        ("?q=lab/samtools:1.17", 1),
        ("?q=samtools+9", 0),
        ("?q=for+all", 1),
        ("?q=lustre", 1),
        ("?q=lab&sort=newest", 2),
        ("?sort=largest", 2),
    ],
)
def test_the_list_is_filtered_without_javascript(reader, asked, found):
    assert reader.page(f"/{asked}").count('<li class="repository">') == found + 1, "one is the template's"


@pytest.mark.parametrize(
    "asked", ["?page=0", "?page=99999999999999999999", "?page=x", "?page=-1", "?sort=%00", "?q=%ff"]
)
def test_what_makes_no_sense_is_the_first_page(reader, asked):
    assert reader.get(f"/?{asked}").status_code == 200


def test_the_page_of_an_image_says_where_it_came_from_and_how_it_is_used(shown, reader):
    page = reader.page(f"/catalogue/image/{shown.nodes['lab/samtools:1.17']}")
    for text in (
        "docker pull localhost/lab/samtools:1.17",
        "skyport-wf pull lab/samtools:1.17",
        "dockerImageId: lab/samtools:1.17",
        "docker://localhost/lab/samtools:1.17",
        "apt-get install -y --no-install-recommends samtools=1.17",
        "debian:bookworm",
        "linux/amd64",
        "573.4 kB",
    ):
        assert text in page, text
    assert 'href="https://git.example.org/lab/tools"' in page


def test_the_words_of_others_stay_text(shown, reader):
    for path in ("/", f"/catalogue/image/{shown.nodes['harm']}", "/catalogue/images.js"):
        page = reader.page(path)
        assert "harmed" in page
        if not path.endswith(".js"):
            assert HARM not in page
            assert "&lt;script&gt;" in page
    assert 'href="javascript' not in reader.page(f"/catalogue/image/{shown.nodes['harm']}")


def test_reading_an_image_tells_what_is_wasted(shown, alice):
    node = shown.nodes["lab/secret:1"]
    assert "Find what is wasted" in alice.page(f"/catalogue/image/{node}")
    answer = alice.post(f"/catalogue/image/{node}/read")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"../{node}#layers")
    page = alice.page(f"/catalogue/image/{node}")
    assert "<td>openssl</td><td>3.0.11-1</td>" in page
    assert "Debian GNU/Linux 12 (bookworm)" in page
    assert "<code>/var/cache/left.bin</code>" in page
    assert "Find what is wasted" not in page
    # What is known of a private image is for nobody else.
    assert ">lab/secret:1</a>" in alice.page("/catalogue/packages?q=openssl")
    assert "lab/secret" not in Reader(shown).page("/catalogue/packages?q=openssl")


@pytest.mark.parametrize(
    ("query", "names", "versions"),
    [
        ("openssl", ["libssl3", "openssl"], ["1.1.1w-0", "3.0.11-1"]),
        ("openssl <3", ["libssl3", "openssl"], ["1.1.1w-0"]),
        ("OpenSSL >=3 <4", ["libssl3", "openssl"], ["3.0.11-1"]),
        ("ssl =3.*", ["libssl3", "openssl"], ["3.0.11-1"]),
        ("openssl<3", ["libssl3", "openssl"], ["1.1.1w-0"]),
        ("openssl < 3", ["libssl3", "openssl"], ["1.1.1w-0"]),
        ("openssl >=1.1, <3", ["libssl3", "openssl"], ["1.1.1w-0"]),
        ("curl", ["curl"], ["7.88"]),
        ("nothing", [], []),
    ],
)
def test_packages_are_searched_in_all_images_without_reading_them(reader, query, names, versions):
    page = reader.page(f"/catalogue/packages?{urlencode({'q': query})}")
    assert sorted(set(re.findall(r'<th scope="row">(\S+)', page))) == names
    assert sorted(set(re.findall(r"<td>([0-9][^<]*)</td>", page))) == versions


def test_a_version_with_an_epoch_is_explained(reader):
    page = reader.page(f"/catalogue/packages?{urlencode({'q': 'zlib1g <2'})}")
    assert "zlib1g 1:1.2.13 has an epoch" in page
    assert "write &lt;1:2." in page


def test_what_is_no_version_in_a_condition_is_said(reader):
    page = reader.page(f"/catalogue/packages?{urlencode({'q': 'curl <abc'})}")
    assert "abc is no version of the kind deb" in page


def test_images_of_two_repositories_are_compared_by_their_names(shown, reader):
    old, new = shown.nodes["lab/samtools:1.17"], shown.nodes["harm"]
    page = reader.page(f"/catalogue/compare/{old}/{new}")
    assert ">lab/samtools:1.17</a> →" in page
    assert HARM not in page


def test_what_is_no_condition_is_said(reader):
    assert "is no condition for a version" in reader.page("/catalogue/packages?q=openssl+<")
    assert "“openssl”" in reader.page("/catalogue/packages?q=%1bopen%00ssl%E2%80%AE")


def test_two_tags_are_compared(shown, reader):
    old, new = shown.nodes["lab/samtools:1.16.1"], shown.nodes["lab/samtools:1.17"]
    assert f'href="../../catalogue/compare/{old}/{new}"' in reader.page(f"/catalogue/image/{new}")
    assert f'href="../../catalogue/compare/{old}/{new}"' in reader.page(f"/catalogue/image/{old}")
    page = reader.page(f"/catalogue/compare/{old}/{new}")
    assert re.search(r'class="differs"><th scope="row">openssl \(Debian\)</th><td>1.1.1w-0</td><td>3.0.11-1</td>', page)
    assert re.search(r'class="added"><th scope="row">curl \(Debian\)</th><td>not there</td>', page)
    assert "zlib1g" not in page
    assert "-RUN apt-get update &amp;&amp; apt-get install -y --no-install-recommends samtools=1.16.1" in page
    assert "2 layers in common" in page


class TestPrivateImages:
    def test_are_there_for_those_who_may_read_them(self, shown, alice):
        node = shown.nodes["lab/secret:1"]
        assert "lab/secret" in alice.page("/")
        assert "lab/secret" in alice.page("/catalogue/images.js")
        page = alice.page(f"/catalogue/image/{node}")
        assert "listed users" in page
        assert '<span class="badge private"' in page

    @pytest.mark.parametrize("who", ["nobody", "bob"])
    def test_are_not_there_for_others(self, shown, who):
        reader = Reader(shown)
        if who == "bob":
            reader.log_in(shown.tokens["bob"])
        secret, public = shown.nodes["lab/secret:1"], shown.nodes["lab/samtools:1.17"]
        for path in (f"image/{secret}", f"compare/{secret}/{public}", f"compare/{public}/{secret}"):
            answer = reader.get(f"/catalogue/{path}")
            assert answer.status_code == 404
            assert "secret" not in answer.text
        assert reader.post(f"/catalogue/image/{secret}/read").status_code == 404
        assert "lab/secret" not in reader.page("/") + reader.page("/catalogue/images.js")

    def test_are_gone_after_logging_out(self, shown):
        reader = Reader(shown)
        reader.log_in(shown.tokens["alice"])
        assert reader.post("/catalogue/logout").status_code == 303
        assert "lab/secret" not in reader.page("/")

    def test_a_session_ends_on_the_server_too(self, shown):
        reader = Reader(shown)
        cookie = reader.log_in(shown.tokens["alice"]).headers["Set-Cookie"].partition(";")[0]
        reader.post("/catalogue/logout")
        assert "lab/secret" not in Client(shown.app, use_cookies=False).get("/", headers=HTML | {"Cookie": cookie}).text

    def test_a_session_ends_by_itself(self, shown, monkeypatch):
        reader = Reader(shown)
        reader.log_in(shown.tokens["alice"])
        later = time.monotonic() + 9 * 3600
        monkeypatch.setattr("skyport_wf.pages.sessions.monotonic", lambda: later)
        assert "lab/secret" not in reader.page("/")
        shown.app.maintain()
        monkeypatch.undo()
        assert "lab/secret" not in reader.page("/"), "its token is forgotten"

    def test_logging_in_anew_ends_the_session_before(self, shown):
        reader = Reader(shown)
        cookie = reader.log_in(shown.tokens["alice"]).headers["Set-Cookie"].partition(";")[0]
        assert reader.log_in(shown.tokens["bob"]).status_code == 303
        assert "lab/secret" not in reader.page("/")
        assert "lab/secret" not in Client(shown.app, use_cookies=False).get("/", headers=HTML | {"Cookie": cookie}).text


class TestLoggingIn:
    def test_the_cookie_is_for_the_server_alone_and_has_no_token(self, shown, reader):
        cookie = reader.log_in(shown.tokens["alice"]).headers["Set-Cookie"]
        assert shown.tokens["alice"] not in cookie
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= {part.strip() for part in cookie.split(";")}

    def test_behind_a_web_server_with_tls_the_cookie_stays_there(self, shown):
        url = "https://shock.example"
        app = PagesApp(shown.app, shown.app.backend, shock="embedded", title="Images", public_url=url)
        form, headers = {"token": shown.tokens["alice"]}, {"Origin": url}
        answer = Client(app).post("/catalogue/login", base_url="http://inside:7445", data=form, headers=headers)
        assert "Secure" in answer.headers["Set-Cookie"]

    @pytest.mark.parametrize("token", ["wrong", "", " ", "ä", "two words", "x" * 9000])
    def test_another_token_is_refused_and_not_shown(self, reader, token):
        answer = reader.log_in(token)
        assert answer.status_code == 403
        assert "Set-Cookie" not in answer.headers
        assert not token.strip() or f'"{token}"' not in answer.text

    def test_too_large_a_form_is_refused(self, reader):
        assert reader.log_in("x" * 100_000).status_code == 413

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost.evil.example", "", "http://["])
    @pytest.mark.parametrize("path", ["login", "logout", "image/{}/read"])
    def test_forms_of_other_pages_are_refused(self, shown, alice, origin, path):
        answer = alice.post(f"/catalogue/{path}".format(shown.nodes["lab/samtools:1.17"]), Origin=origin)
        assert answer.status_code == 403
        assert "serve --public-url" in answer.text
        assert "lab/secret" in alice.page("/"), "still logged in"

    def test_the_token_is_in_no_log_and_no_address(self, shown, reader, caplog):
        with caplog.at_level(logging.DEBUG):
            answer = reader.log_in(shown.tokens["alice"])
            reader.page("/")
        assert shown.tokens["alice"] not in caplog.text + answer.headers["Location"] + answer.text


def test_every_page_forbids_what_it_does_not_need(shown, alice):
    node = shown.nodes["lab/samtools:1.17"]
    for path in ("/", f"/catalogue/image/{node}", "/catalogue/packages", "/catalogue/login", "/catalogue/no-such"):
        answer = alice.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        # What the policy would stop anyway, a page does not even try.
        assert not re.search(r"<script>|<style|\sstyle=|\son[a-z]+=[\"']", answer.text.replace(HARM, ""))
        assert re.findall(r"(?:src|action)=\"(?:https?:)?//", answer.text) == []
    assert alice.get("/catalogue/images.js").headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/catalogue", "/catalogue/"])
def test_an_address_that_is_cut_short_leads_to_the_list(shown, path):
    answer = Client(shown.app).get(path, headers=HTML)
    assert answer.status_code == 303
    assert urljoin(f"http://lab.example{path}", answer.headers["Location"]) == "http://lab.example/"


@pytest.mark.parametrize(
    "path", ["nothing", "image/none", "image/..%2f..", "static/page.py", "static/..", "compare/a/b", "image/%00"]
)
def test_what_is_not_there_is_a_page_that_says_so(reader, path):
    answer = reader.get(f"/catalogue/{path}")
    assert answer.status_code == 404
    assert "All images" in answer.text


def test_a_head_request_has_the_headers_alone(reader, shown):
    answer = Client(shown.app).head("/", headers=HTML)
    assert (answer.status_code, answer.data) == (200, b"")


def test_files_of_every_page_are_asked_for_again_only_if_they_changed(reader):
    answer = reader.get("/catalogue/static/page.css")
    assert answer.mimetype == "text/css"
    assert reader.get("/catalogue/static/page.css", **{"If-None-Match": answer.headers["ETag"]}).status_code == 304
