"""One-time links, and files that are packed on their way: what is in them, for whom, and for how long."""

import calendar
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import threading
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
import requests

from skyport_wf.store import links
from skyport_wf.store.access import OURSELVES
from skyport_wf.store.opening import open_store
from skyport_wf.store.query import LARGEST_LIMIT
from skyport_wf.store.users import add_user
from skyport_wf.store.wsgi.app import ShockApp
from skyport_wf.store.wsgi.transport import EMBEDDED_URL
from tests.support.own_server import running_server
from tests.support.store_people import Person

GONE = (500, ["err:@preAuth load: not found"])
DAY = 24 * 60 * 60


def _link(person, path):
    """Ask for a link, and return what is said of it."""
    response = person.get(path)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def _link_named(person, *nodes, **fields):
    form = {"download_url": (None, "1"), "ids": (None, ",".join(nodes))}
    return person.call("POST", "/node", files=form | {name: (None, value) for name, value in fields.items()})


def _path(said):
    """Return the path of a link."""
    return said["url"].removeprefix(EMBEDDED_URL)


def _outcome(response):
    return response.status_code, response.json()["error"]


def _files(content):
    """Return the names and bytes in an archive, as another reader than its writer finds them."""
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.testzip() is None
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return {name: archive.extractfile(name).read() for name in archive.getnames()}


def _md5(content):
    return hashlib.md5(content).hexdigest().encode()


class TestALink:
    def test_it_leads_to_the_file_once_without_a_token(self, alice, nobody):
        node = alice.upload(b"content", file_name="data.txt")["id"]
        said = _link(alice, f"/node/{node}?download_url")

        assert re.fullmatch(rf"{re.escape(EMBEDDED_URL)}/preauth/[\w-]{{20,}}", said.pop("url"))
        end = calendar.timegm(time.strptime(said.pop("validtill"), "%a %b %d %H:%M:%S %Y"))
        assert DAY - 60 < end - time.time() <= DAY
        assert said == {"format": "", "filename": "data.txt", "files": 1, "size": 7}

        path = _path(_link(alice, f"/node/{node}?download_url"))
        first = nobody.get(path)
        assert (first.status_code, first.content) == (200, b"content")
        assert first.headers["Content-Disposition"] == "attachment; filename=data.txt"
        assert first.headers["Content-Length"] == "7"
        assert _outcome(nobody.get(path)) == GONE
        assert nobody.get(f"/node/{node}?download").status_code == 401

    def test_its_name_and_compression_are_those_asked_for(self, alice, nobody):
        node = alice.upload(b"content")["id"]
        said = _link(alice, f"/node/{node}?download_url&file_name=other.txt&compression=gzip")
        assert (said["filename"], said["format"], said["size"]) == ("other.txt.gzip", "gzip", 7)
        response = nobody.get(_path(said))
        assert gzip.decompress(response.content) == b"content"
        assert response.headers["Content-Disposition"] == "attachment; filename=other.txt.gzip"

    def test_it_begins_with_the_public_address(self, store, nobody):
        token = add_user(store.database, "carol")
        carol = Person(ShockApp(store, public_url="https://shock.example.org/api/"), token)
        node = carol.upload(b"content")["id"]
        assert _link(carol, f"/node/{node}?download_url")["url"].startswith("https://shock.example.org/api/preauth/")

    def test_of_many_who_use_it_at_once_one_gets_the_file(self, alice, app):
        node = alice.upload(b"content")["id"]
        path = _path(_link(alice, f"/node/{node}?download_url"))
        ready = threading.Barrier(8)

        def use(_):
            ready.wait()
            return Person(app, None).get(path).status_code

        with ThreadPoolExecutor(8) as threads:
            assert sorted(threads.map(use, range(8))) == [200, *[500] * 7]

    def test_asking_what_it_would_send_does_not_use_it(self, alice, nobody):
        node = alice.upload(b"content")["id"]
        path = _path(_link(alice, f"/node/{node}?download_url"))
        head = nobody.call("HEAD", path)
        assert (head.status_code, head.headers["Content-Length"], head.content) == (200, "7", b"")
        assert nobody.get(path).content == b"content"

    def test_it_ends_after_a_day(self, alice, nobody, store):
        node = alice.upload(b"content")["id"]
        path = _path(_link(alice, f"/node/{node}?download_url"))
        with store.database.write() as connection:
            connection.execute("UPDATE link SET valid_until = '2001-01-01T00:00:00.000000Z'")
        assert _outcome(nobody.call("GET", path)) == GONE
        _link(alice, f"/node/{node}?download_url")
        with store.database.read() as connection:
            assert connection.execute("SELECT count(*) FROM link").fetchone()[0] == 1

    def test_a_node_that_was_deleted_is_not_there_by_its_link_either(self, alice, nobody):
        node = alice.upload(b"content")["id"]
        path = _path(_link(alice, f"/node/{node}?download_url"))
        alice.delete(f"/node/{node}")
        refused = nobody.get(path)
        assert (refused.status_code, "no files available" in refused.text) == (400, True)

    def test_a_node_without_a_file_has_none(self, alice):
        empty, waiting = alice.upload()["id"], alice.upload(parts="1")["id"]
        for node in (empty, waiting):
            assert _outcome(alice.get(f"/node/{node}?download_url")) == (400, ["Node has no file"])
            assert _outcome(_link_named(alice, node)) == (400, ["(download_url) no available files found"])

    def test_its_name_is_in_no_log(self, alice, store, caplog):
        """A name that was looked at, or that failed, is still good for the file."""
        caplog.set_level("DEBUG")
        node = alice.upload(b"content")["id"]
        path = _path(_link(alice, f"/node/{node}?download_url"))
        with running_server(ShockApp(store)) as server:
            assert requests.head(f"{server.url}{path}").status_code == 200
            assert requests.head(f"{server.url}{path.replace('preauth', '%70reauth')}?x").status_code == 200
            store.folder.database.rename(store.folder.path / "elsewhere")
            store.database.close()
            assert requests.get(f"{server.url}{path}").status_code == 500
        logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("skyport_wf"))
        assert logged.count(" - HEAD /preauth/... 200 ") == 2
        assert "GET /preauth/...: " in logged
        assert path.rpartition("/")[2] not in logged

    def test_guessing_names_writes_nothing(self, nobody, alice, store, tmp_path):
        with open_store(tmp_path / "none") as empty:
            assert _outcome(Person(ShockApp(empty), None).get("/preauth/x")) == GONE
        assert not (tmp_path / "none").exists()
        alice.upload()
        before = store.folder.database.with_name("shock.sqlite-wal").stat().st_size
        for name in ("x", "%00", "é" * 1000, "../node"):
            assert _outcome(nobody.get(f"/preauth/{name}"))[0] in (400, 500)
        assert store.folder.database.with_name("shock.sqlite-wal").stat().st_size == before

    def test_its_name_is_not_in_the_database(self, alice, store):
        node = alice.upload(b"content")["id"]
        name = _path(_link(alice, f"/node/{node}?download_url")).rpartition("/")[2].encode()
        store.close()
        assert not any(name in path.read_bytes() for path in store.folder.path.glob("shock.sqlite*"))

    def test_it_outlives_the_server(self, alice, store):
        node = alice.upload(b"content")["id"]
        path = _path(_link(alice, f"/node/{node}?download_url"))
        store.close()
        with open_store(store.folder.path) as again:
            assert Person(ShockApp(again), None).get(path).content == b"content"

    def test_a_database_of_before_there_were_links_gets_them(self, alice, store):
        node = alice.upload(b"content")["id"]
        token = alice.session.headers["Authorization"].split()[1]
        with store.database.write() as connection:
            connection.execute("DROP TABLE link")
            connection.execute("PRAGMA user_version = 3")
        store.close()
        with open_store(store.folder.path) as again:
            alice, nobody = Person(ShockApp(again), token), Person(ShockApp(again), None)
            assert _outcome(nobody.get("/preauth/x")) == GONE
            assert nobody.get(_path(_link(alice, f"/node/{node}?download_url"))).content == b"content"


class TestHowMany:
    @pytest.mark.parametrize("limit", ["_MOST_LINKS", "_MOST_BYTES"])
    def test_links_that_nobody_uses_have_a_limit_of_their_maker(self, limit, alice, bob, nobody, monkeypatch):
        node = alice.upload(b"content")["id"]
        alice.put(f"/node/{node}/acl/public_read")
        path = f"/node/{node}?download_url"
        first = _path(_link(alice, path))
        _link(nobody, path)
        monkeypatch.setattr(links, limit, 1 if limit == "_MOST_LINKS" else 150)
        for person in (alice, nobody):
            refused = person.get(path)
            assert (refused.status_code, "too many links" in refused.text) == (400, True)
        assert _link(bob, path)["files"] == 1
        assert nobody.get(first).content == b"content"
        assert _link(alice, path)["files"] == 1

    def test_making_one_is_quick_however_many_there_are(self, alice, store):
        node = alice.upload(b"content")["id"]
        user = store.read(node, OURSELVES).acl.owner
        rows = [(os.urandom(32), user, "x" * 200, "2999") for _ in range(links._MOST_LINKS - 20)]
        with store.database.write() as connection:
            connection.executemany("INSERT INTO link VALUES (?, ?, ?, ?)", rows)
        began = time.process_time()
        for _ in range(20):
            _link(alice, f"/node/{node}?download_url")
        assert time.process_time() - began < 20 * 0.1


@pytest.fixture
def shelf(alice, bob):
    """Nodes of alice's that a query finds, and one of bob's; returns alice's by name."""
    bob.upload(b"bob's own", {"shelf": "a"}, file_name="secret")
    names = ("one.txt", "two.txt", "größe", "one.txt", "one.txt.md5", "..", "../../etc/passwd", "a\\b", "-rf")
    nodes = {}
    for number, name in enumerate(names):
        nodes[f"{number} {name}"] = alice.upload(b"%d" % number * 1000, {"shelf": "a"}, file_name=name)["id"]
    alice.upload(attributes={"shelf": "a"})
    alice.upload(b"elsewhere", {"shelf": "b"})
    return nodes


class TestArchives:
    @pytest.mark.parametrize("archive", ["zip", "tar"])
    def test_one_has_the_files_that_a_query_finds(self, archive, shelf, alice, nobody):
        found = "querynode&attributes.shelf=a&order=created_on&direction=asc"
        said = _link(alice, f"/node?{found}&download_url&archive={archive}&file_name=shelf")
        assert (said["format"], said["filename"], said["files"]) == (archive, f"shelf.{archive}", len(shelf))
        assert said["size"] == 1000 * len(shelf)
        response = nobody.get(_path(said))
        assert response.headers["Content-Disposition"] == f"attachment; filename=shelf.{archive}"
        files = _files(response.content)
        # Whose name two have, and what has none to unpack it under, gets another.
        names = {"one.txt", "two.txt", "größe", "one.txt.2", "one.txt.md5.2", shelf["5 .."], "passwd", "b", "-rf"}
        assert files.keys() == names | {f"{name}.md5" for name in names}
        contents = {content for name, content in files.items() if name in names}
        assert contents == {b"%d" % number * 1000 for number in range(len(shelf))}
        assert all(files[f"{name}.md5"] == _md5(files[name]) for name in names)

    def test_zip_is_what_it_is_unless_another_is_asked_for(self, shelf, alice, nobody):
        said = _link(alice, "/node?querynode&attributes.shelf=a&download_url")
        assert (said["format"], said["filename"]) == ("zip", "files.zip")
        assert len(_files(nobody.get(_path(said)).content)) == 2 * len(shelf)

    @pytest.mark.parametrize("archive", ["zip", "tar"])
    def test_one_of_a_single_file_is_an_archive(self, archive, alice, nobody):
        """Real Shock sends the file, named like an archive."""
        node = alice.upload(b"", file_name="empty")["id"]
        said = _link_named(alice, node, archive_format=archive).json()["data"]
        assert _files(nobody.get(_path(said)).content) == {"empty": b"", "empty.md5": _md5(b"")}

    @pytest.mark.parametrize(("archive", "list_it"), [("zip", ["unzip", "-l"]), ("tar", ["tar", "-tvf"])])
    def test_other_programs_read_them(self, archive, list_it, shelf, alice, nobody, tmp_path):
        if not shutil.which(list_it[0]):
            pytest.skip(f"no {list_it[0]} here")
        said = _link_named(alice, *shelf.values(), archive_format=archive, file_name="f").json()["data"]
        path = tmp_path / said["filename"]
        path.write_bytes(nobody.get(_path(said)).content)
        listed = subprocess.run([*list_it, path], capture_output=True, text=True, check=True, timeout=60)
        lines = listed.stdout.splitlines()
        assert len([line for line in lines if "1000 " in line and ".md5" not in line.replace(".md5.2", "")]) == 9
        assert not listed.stderr

    def test_one_of_a_query_has_more_than_a_page(self, alice, nobody):
        for number in range(30):
            alice.upload(b"%d" % number, {"many": "yes"}, file_name=f"file-{number}")
        for page in ("", "&limit=2&offset=5"):
            said = _link(alice, f"/node?query&many=yes&download_url{page}")
            files = _files(nobody.get(_path(said)).content)
            assert {name: content for name, content in files.items() if not name.endswith(".md5")} == {
                f"file-{number}": b"%d" % number for number in range(30)
            }

    def test_one_has_only_what_its_maker_may_read(self, shelf, bob, nobody):
        said = _link(bob, "/node?query&shelf=a&download_url")
        assert said["files"] == 1
        assert _files(nobody.get(_path(said)).content)["secret"] == b"bob's own"
        refused = _link_named(bob, next(iter(shelf.values())))
        assert _outcome(refused) == (401, ["User Unauthorized"])
        assert _link_named(bob, "no-such-node").status_code == 404

    def test_one_leaves_out_what_was_deleted_meanwhile(self, shelf, alice, nobody):
        said = _link_named(alice, *shelf.values()).json()["data"]
        alice.delete(f"/node/{shelf['1 two.txt']}")
        files = _files(nobody.get(_path(said)).content)
        assert (len(files), "two.txt" in files) == (2 * len(shelf) - 2, False)

    def test_a_node_named_twice_is_in_it_once(self, alice, nobody):
        node = alice.upload(b"content", file_name="f")["id"]
        said = _link_named(alice, node, node).json()["data"]
        assert said["files"] == 1
        assert _files(nobody.get(_path(said)).content).keys() == {"f", "f.md5"}

    def test_a_form_that_asks_for_a_link_makes_no_node(self, alice, store):
        node = alice.upload(b"content")["id"]
        for files in ({"upload": ("f", b"x")}, {"attributes": ("a", b"{}")}, {"tags": (None, "x")}):
            form = {"download_url": (None, "1"), "ids": (None, node)} | files
            assert alice.call("POST", "/node", files=form).status_code == 400
        for fields in (["download_url"], ["ids"], ["archive_format"], ["archive_format", "ids"]):
            form = dict.fromkeys(fields, (None, node))
            for refused in (alice.call("POST", "/node", files=form), alice.put(f"/node/{node}", files=form)):
                assert (refused.status_code, "a link is made by POST /node" in refused.text) == (400, True)
        assert alice.get("/node").json()["total_count"] == 1
        assert len(list(store.files)) == 1

    def test_who_may_write_but_not_read_gets_no_link(self, store):
        nobody = Person(ShockApp(store, anonymous=frozenset({"write"})), None)
        node = nobody.upload(b"content")["id"]
        assert _outcome(_link_named(nobody, node)) == (401, ["No Authorization"])

    def test_the_number_of_files_has_a_limit(self, alice, monkeypatch):
        assert LARGEST_LIMIT >= 10_000
        monkeypatch.setattr("skyport_wf.store.wsgi.link_routes.LARGEST_LIMIT", 2)
        for _ in range(3):
            alice.upload(b"x", {"k": "v"})
        refused = alice.get("/node?query&k=v&download_url")
        assert _outcome(refused) == (400, ["an archive cannot have more than 2 files"])

    def test_without_download_url_the_same_words_are_about_attributes(self, alice):
        node = alice.upload(b"x", {"archive": "zip", "file_name": "f"})["id"]
        assert [found["id"] for found in alice.find("query&archive=zip&file_name=f")] == [node]


class TestPackedDownloads:
    CONTENT = b"".join(b"%d," % number for number in range(200_000))

    @pytest.fixture
    def node(self, alice):
        return alice.upload(self.CONTENT, file_name="numbers")["id"]

    def test_gzip(self, node, alice):
        response = alice.get(f"/node/{node}?download&compression=gzip")
        assert gzip.decompress(response.content) == self.CONTENT
        assert response.headers["Content-Disposition"] == "attachment; filename=numbers.gzip"
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert "Content-Length" not in response.headers
        # It is the file that is packed, not its way: clients must not unpack it by themselves.
        assert "Content-Encoding" not in response.headers

    def test_zip(self, node, alice):
        response = alice.get(f"/node/{node}?download&compression=zip&file_name=other")
        assert _files(response.content) == {"numbers": self.CONTENT}
        assert len(response.content) < len(self.CONTENT)
        assert response.headers["Content-Disposition"] == "attachment; filename=other.zip"

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [("seek=300&length=1000", CONTENT[300:1300]), ("seek=99999999", b""), ("length=0", b"")],
    )
    def test_a_part_of_a_file(self, arguments, expected, node, alice):
        packed = alice.get(f"/node/{node}?download&compression=gzip&{arguments}").content
        assert gzip.decompress(packed) == expected
        packed = alice.get(f"/node/{node}?download&compression=zip&{arguments}").content
        assert _files(packed) == {"numbers": expected}

    def test_raw_has_no_name(self, node, alice):
        response = alice.get(f"/node/{node}?download_raw&compression=gzip")
        assert gzip.decompress(response.content) == self.CONTENT
        assert "Content-Disposition" not in response.headers

    @pytest.mark.parametrize("compression", ["gzip", "zip"])
    def test_files_are_closed_whatever_happens(self, compression, node, alice, store):
        path = f"/node/{node}?download&compression={compression}"
        alice.get(path)
        alice.call("HEAD", path)
        alice.get(path, stream=True).close()
        with alice.get(path, stream=True) as response:
            response.raw.read(10)
        named = [str(file.resolve()) for file in Path("/proc/self/fd").iterdir()]
        assert not [name for name in named if name.startswith(str(store.folder.files))]

    def test_what_is_packed_from_a_file_that_was_cut_is_no_whole(self, node, alice, store):
        with self.asking_for_a_cut_file(node, alice, store) as requests_for_it:
            for ask in requests_for_it:
                assert ask().status_code == 500

    def test_what_is_packed_from_a_file_that_is_cut_at_this_moment_is_no_whole(self, node, alice, store, monkeypatch):
        """After its size was seen to be right."""
        monkeypatch.setattr("skyport_wf.store.wsgi.downloads._has_size", lambda file, size: True)
        with self.asking_for_a_cut_file(node, alice, store) as requests_for_it:
            for ask in requests_for_it:
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    ask()

    @contextmanager
    def asking_for_a_cut_file(self, node, alice, store):
        """Cut the node's file, and yield what asks a server for it, packed in each way."""
        (path,) = (path for path in store.files if path.parent.parent == store.folder.files)
        os.truncate(path, 1_000_000)
        headers = {"Authorization": alice.session.headers["Authorization"]}
        named = _link_named(alice, node, archive_format="tar").json()["data"]
        packed = [f"/node/{node}?download&compression={how}" for how in ("gzip", "zip")]
        with running_server(ShockApp(store)) as server:
            yield [partial(requests.get, f"{server.url}{way}", headers=headers) for way in (*packed, _path(named))]

    @pytest.mark.slow
    @pytest.mark.parametrize("way", ["compression=gzip", "compression=zip", "zip", "tar"])
    def test_a_large_one_is_never_in_memory(self, way, alice, nobody):
        content = os.urandom(1024 * 1024) * 48
        node = alice.upload(content)["id"]
        if "=" in way:
            path = f"/node/{node}?download&{way}"
        else:
            path = _path(_link_named(alice, node, archive_format=way).json()["data"])
        digest, size = hashlib.md5(), 0
        tracemalloc.start()
        with alice.get(path, stream=True) as response:
            for data in response.iter_content(256 * 1024):
                digest.update(data)
                size += len(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert size > len(content)
        assert peak < 8 * 1024 * 1024

    def test_over_http(self, store, alice, node):
        token = alice.session.headers["Authorization"]
        with running_server(ShockApp(store)) as server:
            said = requests.get(
                f"{server.url}/node/{node}?download_url&compression=gzip", headers={"Authorization": token}
            )
            url = said.json()["data"]["url"]
            assert url.startswith(f"{server.url}/preauth/")
            assert gzip.decompress(requests.get(url).content) == self.CONTENT
            assert requests.get(url).status_code == 500


class TestWhatIsNotSetUp:
    """No types and no locations: as of a Shock where nobody made any."""

    def test_an_admin_hears_that_there_is_none(self, admin):
        for path, said in (
            ("/types/metadata/info", "(TypeRequest) type metadata not found (found: )"),
            ("/location/S3/info", "(Location->Load) Location S3 not found"),
            ("/location/S3/missing", "(Location->Load) Location S3 not found"),
        ):
            assert _outcome(admin.get(path)) == (500, [said])

    def test_others_hear_less(self, alice, nobody):
        for path in ("/types/metadata/info", "/location/S3/info"):
            assert _outcome(alice.get(path)) == (500, ["User Unauthorized"])
            assert _outcome(nobody.get(path)) == (401, ["admin required"])

    def test_a_node_is_in_no_location(self, alice):
        node = alice.upload(b"x")["id"]
        assert alice.get(f"/node/{node}/locations").json() == {"status": 200, "data": [], "error": None}
        assert alice.get(f"/node/{node}/locations/").json()["data"] == []
        assert _outcome(alice.get(f"/node/{node}/locations/S3")) == (500, ["location S3 not found"])
