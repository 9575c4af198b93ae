"""Images in registries, good and bad, from a real server on loopback."""

import base64
import gzip
import hashlib
import io
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from backports import zstd

from skyport_wf.errors import ArchiveError, SkyportError, TemporaryError
from skyport_wf.image.archive.reader import inspect_archive
from skyport_wf.image.archive.stream import ArchiveStream
from skyport_wf.image.archive.strict_gzip import decompressed_strictly
from skyport_wf.image.contents import SavedArchive
from skyport_wf.image.distribution.manifests import Flavour
from skyport_wf.image.distribution.parsing import ImageManifest, parse_manifest
from skyport_wf.image_list.reference import parse_reference
from skyport_wf.image_list.registry_address import parse_registry_address
from skyport_wf.records.source import RegistryOrigin
from skyport_wf.sources.remote.registry_archives import RegistryArchive
from skyport_wf.sources.remote.registry_images import RegistryImage, find_image, read_blob
from skyport_wf.sources.remote.registry_session import RegistrySession
from tests.support.docker_archives import Image, layer_tar, sha256
from tests.support.http_server import Recording, http_server, make_authority
from tests.support.image_registry import INDEX, PASSWORD, USER, ImageRegistry, describe, gzipped, image_registry

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

BASE = layer_tar({"bin/bash": b"bash", "etc/os": b"debian"})
TOOL = layer_tar({"usr/bin/tool": bytes(3_000_000), "usr/bin/more": hashlib.sha256().digest() * 1000})
IMAGE = Image((BASE, TOOL))
Answer = tuple[str, dict[str, str], Iterable[bytes]]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ImageRegistry]:
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with image_registry() as served:
        yield served


def log_in(folder: Path, host: str, password: str = PASSWORD, **entry: str) -> None:
    (folder / "docker").mkdir(exist_ok=True)
    entry = entry or {"auth": base64.b64encode(f"{USER}:{password}".encode()).decode()}
    (folder / "docker/config.json").write_text(json.dumps({"auths": {host: entry}}))


def find(registry: ImageRegistry, name: str = "lab/tool:1", **options: Any) -> RegistryImage:
    address = parse_registry_address(f"{registry.host}/{name}")
    with RegistrySession(address, seconds=options.pop("seconds", 60)) as session:
        return find_image(session, address, **{"platform": "linux/amd64", **options})


def failure(registry: ImageRegistry, name: str = "lab/tool:1", **options: Any) -> str:
    with pytest.raises(SkyportError) as caught:
        find(registry, name, **options)
    assert not isinstance(caught.value, TemporaryError), caught.value
    return str(caught.value)


def fetch(registry: ImageRegistry, name: str = "lab/tool:1") -> tuple[bytes, SavedArchive, bool]:
    """Return the archive of an image, what is told of it, and whether the layers' sizes were told truly."""
    found = find(registry, name)
    origin = RegistryOrigin(f"{registry.host}/{name}", found.manifest_digest, "linux/amd64")
    with RegistryArchive(origin, parse_reference("my-lab/tool:1.0")) as image:
        for foreseen in (True, False):
            try:
                return b"".join(image.open()), image.saved, foreseen
            except ArchiveError:
                if not image.make_otherwise():
                    raise
    raise AssertionError


def test_an_image_by_tag_and_by_digest(registry: ImageRegistry) -> None:
    digest, _ = registry.add("lab/tool:1", IMAGE)
    found = find(registry)
    assert (found.image_id, found.manifest_digest, found.named) == (IMAGE.image_id, digest, digest)
    assert find(registry, f"lab/tool@{digest}") == found


def test_a_manifest_is_parsed_once_and_not_for_each_layer(
    registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.add("lab/tool:1", IMAGE)
    found = find(registry)
    as_noted = msgspec.json.encode(found)
    parsed = []

    def parse(content: bytes) -> ImageManifest:
        parsed.append(content)
        return parse_manifest(content)

    monkeypatch.setattr("skyport_wf.sources.remote.registry_images.parse_manifest", parse)
    origin = RegistryOrigin(f"{registry.host}/lab/tool:1", found.manifest_digest, "linux/amd64")
    with RegistryArchive(origin, parse_reference("my-lab/tool:1.0")) as image:
        assert image.about_size
        assert image.read_through().contents.image_id == IMAGE.image_id
    # As it is found, and of what was found.
    assert len(parsed) == 2
    assert found.parsed_manifest.layers
    assert msgspec.json.encode(found) == as_noted


@pytest.mark.slow
def test_what_is_known_is_not_fetched_again(registry: ImageRegistry) -> None:
    registry.add("lab/tool:1", IMAGE)
    known = find(registry)
    registry.requests.clear()
    assert find(registry, known=known) == known
    assert [(method, path) for method, path, _ in registry.requests if path.startswith("lab")] == [
        ("HEAD", "lab/tool/manifests/1")
    ]
    registry.add("lab/tool:1", Image((BASE,)))
    assert find(registry, known=known).image_id == Image((BASE,)).image_id, "the tag was moved"


_PLATFORM = ("os", "architecture", "variant")


def index_of(*entries: tuple[str, str]) -> bytes:
    manifests = [
        {"digest": digest, "size": 1, "platform": dict(zip(_PLATFORM, name.split("/"), strict=False))}
        for name, digest in entries
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()


@pytest.mark.slow
def test_of_an_index_the_image_for_the_platform(registry: ImageRegistry) -> None:
    there = {
        name: registry.add(f"lab/tool:{number}", Image((BASE,), author=name))[0]
        for number, name in enumerate(("linux/amd64", "linux/arm64/v8", "linux/arm/v7"), 7)
    }
    index = registry.add_manifest("lab/tool", "1", index_of(*there.items(), ("unknown/unknown", IMAGE.image_id)), INDEX)
    for platform, meant in (
        ("linux/amd64", "linux/amd64"), ("linux/arm64", "linux/arm64/v8"), ("linux/arm/v7", "linux/arm/v7")
    ):  # fmt: skip
        found = find(registry, platform=platform)
        assert (found.named, found.manifest_digest) == (index, there[meant])
    assert "has no image for linux/s390x; it has 'linux/amd64', 'linux/arm/v7', 'linux/arm64/v8'" in (
        failure(registry, platform="linux/s390x")
    )
    assert "has no image for linux/arm/v6" in failure(registry, platform="linux/arm/v6")


def test_the_config_tells_the_platform_where_the_index_does_not(registry: ImageRegistry) -> None:
    arm = Image((BASE,), architecture="arm64")
    there = [registry.add(f"lab/tool:{number}", image)[0] for number, image in enumerate((arm, IMAGE))]
    there.insert(0, registry.add_manifest("lab/tool", "other", b'{"schemaVersion": 2}', INDEX))
    listed = [{"digest": digest, "size": 1} for digest in there]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
    registry.add_manifest("lab/tool", "1", index, INDEX)
    assert find(registry).image_id == IMAGE.image_id
    assert find(registry, platform="linux/arm64").image_id == arm.image_id
    assert "has no image for linux/s390x; it has 'linux/amd64', 'linux/arm64'" in (
        failure(registry, platform="linux/s390x")
    )


def test_an_index_may_lead_to_another(registry: ImageRegistry) -> None:
    manifest, _ = registry.add("lab/tool:image", IMAGE)
    inner = registry.add_manifest("lab/tool", "inner", index_of(("linux/amd64", manifest)), INDEX)
    outer = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{"digest": inner, "size": 1}]}
    named = registry.add_manifest("lab/tool", "1", json.dumps(outer).encode(), INDEX)
    found = find(registry)
    assert (found.named, found.manifest_digest) == (named, manifest)
    assert "has no image for linux/s390x" in failure(registry, platform="linux/s390x")


@pytest.mark.slow
@pytest.mark.parametrize(
    "layers",
    [(BASE, TOOL), (BASE, TOOL, BASE), (BASE, b"", TOOL), (TOOL + bytes(100),), ()],
    ids=["two", "repeated", "empty", "odd length", "none"],
)
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_gzip_layers_stay_byte_for_byte(registry: ImageRegistry, layers: tuple[bytes, ...], ranges: bool) -> None:
    image = Image(layers)
    registry.has_ranges = ranges
    _, blobs = registry.add("lab/tool:1", image)
    content, saved, foreseen = fetch(registry)
    assert foreseen
    assert inspect_archive(ArchiveStream(io.BytesIO(content), name="archive")).image_id == image.image_id
    assert (saved.digests.sha256, saved.digests.size) == (f"sha256:{sha256(content)}", len(content))
    assert saved.digests.archive_sha256 == f"sha256:{sha256(gzip.decompress(content))}"
    stored = [content[layer.offset : layer.offset + layer.size] for layer in saved.digests.layers]
    assert stored == [*dict.fromkeys(blobs)]


def in_members(layer: bytes) -> bytes:
    """Return a layer as several gzip members, as some builders make them so that files can be had one by one."""
    return gzipped(layer[:1000]) + gzipped(layer[1000:])


def with_zeros(layer: bytes) -> bytes:
    """Return a layer as gzip with what Docker does not read behind it."""
    return gzipped(layer) + bytes(300)


def with_long_name(layer: bytes) -> bytes:
    """Return a layer as gzip whose header has more than Docker reads."""
    stored = gzipped(layer)
    return stored[:3] + b"\x08" + stored[4:10] + b"n" * 600 + b"\0" + stored[10:]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compress", "layer_type", "foreseen"),
    [
        (in_members, "", False),
        # Its last bytes say zero, too.
        (with_zeros, "", True),
        (with_long_name, "", False),
        (zstd.compress, "application/vnd.oci.image.layer.v1.tar+zstd", True),
        (bytes, "application/vnd.oci.image.layer.v1.tar", True),
        (zstd.compress, "", False),
        # Its last bytes say zero, which is not believed.
        (bytes, "", True),
        (gzipped, "application/vnd.oci.image.layer.v1.tar", True),
    ],
    ids=[
        *("members", "zeros", "long name", "zstd", "plain"),
        *("zstd called gzip", "plain called gzip", "gzip called plain"),
    ],
)
def test_other_layers_are_brought_to_what_awe_loads(
    registry: ImageRegistry, compress: Any, layer_type: str, foreseen: bool
) -> None:
    registry.add("lab/tool:1", IMAGE, compress=compress, layer_type=layer_type)
    content, saved, was_foreseen = fetch(registry)
    assert was_foreseen == foreseen
    assert inspect_archive(ArchiveStream(io.BytesIO(content), name="archive")).image_id == IMAGE.image_id
    stored = [content[layer.offset : layer.offset + layer.size] for layer in saved.digests.layers]
    assert [b"".join(decompressed_strictly(io.BytesIO(layer))) for layer in stored] == [BASE, TOOL]
    assert b"".join(decompressed_strictly(io.BytesIO(content))) == gzip.decompress(content)


def test_an_image_is_asked_for_again_when_it_is_fetched(
    registry: ImageRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry has just told its digest, and may be busy in the very next moment."""
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "10")
    digest, _ = registry.add("lab/tool:1", IMAGE)
    path = f"lab/tool/manifests/{digest}"

    def refuse(environ: "WSGIEnvironment") -> Answer:
        del registry.answers[path]
        return "429 Too Many Requests", {"Retry-After": "1"}, [b"wait"]

    registry.answers[path] = refuse
    origin = RegistryOrigin(f"{registry.host}/lab/tool:1", digest, "linux/amd64")
    began = time.monotonic()
    with RegistryArchive(origin, parse_reference("my-lab/tool:1.0")) as image:
        assert image.image_id == IMAGE.image_id
    assert time.monotonic() - began >= 1


def breaking_off(registry: ImageRegistry, path: str, *, after: int, times: int) -> None:
    """Let a blob break off, so many times, after so many bytes of each answer."""
    left = iter(range(times))

    def answer(environ: "WSGIEnvironment") -> Answer:
        status, headers, body = registry.__class__._answer(whole, environ, path, None)
        if "-" in environ.get("HTTP_RANGE", "-x").rstrip("0123456789") and next(left, None) is not None:
            return status, headers, [b"".join(body)[:after]]
        return status, headers, body

    whole = ImageRegistry()
    whole.files, whole.has_ranges = dict(registry.files), registry.has_ranges
    registry.answers[path] = answer


@pytest.mark.slow
@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_layer_that_breaks_off_goes_on(registry: ImageRegistry, ranges: bool) -> None:
    registry.has_ranges = ranges
    _, blobs = registry.add("lab/tool:1", IMAGE)
    path = f"lab/tool/blobs/sha256:{sha256(blobs[1])}"
    breaking_off(registry, path, after=5000, times=2)
    assert inspect_archive(ArchiveStream(io.BytesIO(fetch(registry)[0]), name="x")).image_id == IMAGE.image_id


@pytest.mark.slow
def test_a_layer_that_never_comes_is_a_temporary_failure(registry: ImageRegistry) -> None:
    _, blobs = registry.add("lab/tool:1", IMAGE)
    registry.answers[f"lab/tool/blobs/sha256:{sha256(blobs[1])}"] = lambda _: ("200 OK", {}, [b""])
    with pytest.raises(TemporaryError, match=r"broke off: 0 of \d+ bytes of sha256:"):
        fetch(registry)


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    [
        lambda blob: [blob[:-1] + b"x"],
        lambda blob: [blob, b"more"][::-1],
        lambda blob: itertools.repeat(bytes(1 << 16)),
    ],
    ids=["another", "longer", "endless"],
)
def test_a_layer_that_is_another_is_refused(registry: ImageRegistry, body: Any) -> None:
    _, blobs = registry.add("lab/tool:1", IMAGE)
    path = f"lab/tool/blobs/sha256:{sha256(blobs[1])}"
    registry.answers[path] = lambda _: ("200 OK", {}, body(blobs[1]))
    with pytest.raises(ArchiveError, match="is damaged: the registry answers with sha256:"):
        fetch(registry)


class ImageOfADay(Image):
    """Tells when it was made as Docker does not read it."""

    @property
    def config(self) -> bytes:
        return super().config.replace(b"T04:05:06.789Z", b"")


@pytest.mark.slow
def test_a_config_that_docker_cannot_read_is_refused_before_a_layer_is_fetched(registry: ImageRegistry) -> None:
    _, blobs = registry.add("lab/tool:1", ImageOfADay((BASE, TOOL)))
    with pytest.raises(ArchiveError, match="cannot be loaded by Docker: `created` in its config is"):
        fetch(registry)
    asked = {path for _, path, _ in registry.requests}
    assert not asked & {f"lab/tool/blobs/sha256:{sha256(blob)}" for blob in blobs}


@pytest.mark.slow
def test_a_config_that_is_another(registry: ImageRegistry) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.files[f"lab/tool/blobs/{IMAGE.image_id}"] = IMAGE.config[:-1] + b" "
    assert f"for the blob {IMAGE.image_id}. Mend `registry`" in failure(registry)


def test_a_config_that_does_not_fit(registry: ImageRegistry) -> None:
    registry.add("lab/tool:1", IMAGE)
    config = f"lab/tool/blobs/{IMAGE.image_id}"
    registry.answers[config] = lambda _: ("200 OK", {}, [IMAGE.config[:-1] + b" "])
    assert "is damaged: the registry answers with sha256:" in failure(registry)
    registry.answers.clear()
    for content, told in (
        (b"no", "its image config cannot be read"),
        (Image((BASE,)).config, "its manifest has 2 layers, its config 1"),
        (b"\xff", "cannot be published"),
    ):
        manifest = json.loads(describe(IMAGE, map(gzipped, IMAGE.layers)))
        digest = f"sha256:{sha256(content)}"
        manifest["config"] |= {"digest": digest, "size": len(content)}
        registry.files[f"lab/tool/blobs/{digest}"] = content
        registry.add_manifest("lab/tool", "1", json.dumps(manifest).encode(), "x/x")
        assert told in failure(registry)
    manifest["config"]["size"] = 10**12
    registry.add_manifest("lab/tool", "1", json.dumps(manifest).encode(), "x/x")
    assert "its config has 1.0 TB, and may have 4 MiB" in failure(registry)


@pytest.mark.parametrize("config_type", ["application/octet-stream", "application/json", "text/html", ""])
def test_a_config_has_the_type_that_old_registries_gave_it(registry: ImageRegistry, config_type: str) -> None:
    manifest = json.loads(describe(IMAGE, map(gzipped, IMAGE.layers)))
    registry.add("lab/tool:1", IMAGE)
    manifest["config"]["mediaType"] = config_type
    registry.add_manifest("lab/tool", "1", json.dumps(manifest).encode(), Flavour.DOCKER.media_type)
    assert find(registry).image_id == IMAGE.image_id


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is not a manifest"),
        (b"<html>", "it is not a manifest"),
        (b'{"schemaVersion": 1}', "schema 1 are no longer in use"),
        (b"[" * 100_000, "it is not a manifest"),
        (json.dumps({"schemaVersion": 2, "mediaType": "x"}).encode(), "is not one of an image"),
        (b'{"schemaVersion": 2}', "it is not an image, and AWE"),
        (
            b'{"schemaVersion": 2, "config": {"digest": "", "mediaType": "x/sif"}}',
            "it is not an image but 'x/sif', and",
        ),
        (index_of(("linux/amd64", "sha512:x")), "the index names the digest 'sha512:x'"),
        (index_of(("linux/amd64\x1b[2J", "x")), r"it has 'linux/amd64\x1b[2J'"),
    ],
)
def test_what_is_no_manifest(registry: ImageRegistry, content: bytes, told: str) -> None:
    registry.add_manifest("lab/tool", "1", content, "x/x")
    assert told in failure(registry)


def test_a_manifest_without_end_is_not_read_to_its_end(registry: ImageRegistry) -> None:
    registry.answers["lab/tool/manifests/1"] = lambda _: ("200 OK", {}, itertools.repeat(b"{" * 65536))
    assert "its manifest has more than 4 MiB" in failure(registry)


def test_another_manifest_than_the_digest_says(registry: ImageRegistry) -> None:
    digest, _ = registry.add("lab/tool:1", IMAGE)
    registry.files[f"lab/tool/manifests/{digest}"] += b" "
    assert f"answers with another manifest than {digest}" in failure(registry, f"lab/tool@{digest}")


def dripping(pause: float) -> Iterator[bytes]:
    while True:
        time.sleep(pause)
        yield b" "


def test_what_comes_too_slowly_is_given_up(registry: ImageRegistry) -> None:
    registry.answers["lab/tool/manifests/1"] = lambda _: ("200 OK", {}, dripping(0.01))
    with pytest.raises(TemporaryError, match="comes at less than 10 kB/s"):
        find(registry, seconds=0.5)


def test_a_layer_that_comes_too_slowly_is_given_up(registry: ImageRegistry) -> None:
    """However much of it has come each time."""
    blob = bytes(1500)
    digest = f"sha256:{sha256(blob)}"

    def answer(environ: "WSGIEnvironment") -> Answer:
        start = int(environ.get("HTTP_RANGE", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"}
        dripped = itertools.islice(dripping(0.01), len(blob) - start)
        return ("206 Partial Content" if start else "200 OK"), headers, (bytes(len(drop)) for drop in dripped)

    registry.answers[f"lab/tool/blobs/{digest}"] = answer
    address = parse_registry_address(f"{registry.host}/lab/tool:1")
    with RegistrySession(address, seconds=0.5) as session, pytest.raises(TemporaryError, match="less than 10 kB/s"):
        list(read_blob(session, address, digest, len(blob)))


@pytest.mark.parametrize(
    ("status", "told", "temporary"),
    [
        ("404 Not Found", ", or not for this login (HTTP 404). Mend `registry` in the image list, or log in: `", False),
        (
            "403 Forbidden",
            "or not for this login (HTTP 403). Mend `registry` in the image list, or log in: `docker",
            False,
        ),
        ("429 Slow down", "cannot be had: HTTP 429.", True),
        ("503 Busy", "cannot be had: HTTP 503.", True),
        ("418 Teapot", "cannot be had: HTTP 418. Mend", False),
    ],
)
def test_refusals(registry: ImageRegistry, status: str, told: str, temporary: bool) -> None:
    registry.answers["lab/tool/manifests/1"] = lambda _: (status, {}, [b"no"])
    with pytest.raises(SkyportError) as caught:
        find(registry)
    assert told in str(caught.value)
    assert isinstance(caught.value, TemporaryError) == temporary


def test_a_blob_that_is_missing_is_told_as_that(registry: ImageRegistry) -> None:
    _, blobs = registry.add("lab/tool:1", IMAGE)
    for blob, fails in ((blobs[1], lambda: fetch(registry)), (IMAGE.config, lambda: find(registry))):
        digest = f"sha256:{sha256(blob)}"
        del registry.files[f"lab/tool/blobs/{digest}"]
        with pytest.raises(SkyportError) as caught:
            fails()
        assert f"is not whole: its registry has the manifest, but not the blob {digest} (HTTP 404)." in str(
            caught.value
        )
        assert "docker login" not in str(caught.value)


def test_a_registry_that_is_not_there_is_a_temporary_failure(registry: ImageRegistry) -> None:
    registry.port = 9
    with pytest.raises(TemporaryError, match=r"127\.0\.0\.1:9.* cannot be reached: Connection refused"):
        find(registry)


@pytest.mark.slow
def test_a_login_is_sent_where_it_is_asked_for_and_nowhere_else(registry: ImageRegistry, tmp_path: Path) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login = True
    told = failure(registry)
    assert (
        f"not for this login (HTTP 401). Mend `registry` in the image list, or log in: `docker login {registry.host}`"
        in told
    )
    log_in(tmp_path, "127.0.0.1:1")
    assert "HTTP 401" in failure(registry), "a login for another registry"
    log_in(tmp_path, registry.host)
    assert find(registry).image_id == IMAGE.image_id
    sent = {path: authorization for _, path, authorization in registry.requests}
    assert sent["/token"].startswith("Basic ")
    assert {value for path, value in sent.items() if path.startswith("lab/")} == {"Bearer for-the-owner"}


@pytest.mark.slow
def test_tls_is_used_where_there_is_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On loopback, where it need not be; a registry that cannot be trusted is not asked without it."""
    authority = make_authority(tmp_path / "authority")
    monkeypatch.setenv("SKYPORT_RETRY_SECONDS", "0")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with image_registry(authority) as registry:
        registry.add("lab/tool:1", IMAGE)
        assert "cannot be trusted" in failure(registry)
        assert registry.requests == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificates))
        assert find(registry).image_id == IMAGE.image_id
        registry.wants_login, registry.realm = True, f"http://{registry.host}/token"
        log_in(tmp_path, registry.host)
        assert "wants a login to be sent where anyone could read it" in failure(registry)
        registry.realm = f"https://{registry.host}/token"
        assert find(registry).image_id == IMAGE.image_id
        manifest = registry.files["lab/tool/manifests/1"]
        registry.answers["lab/tool/manifests/1"] = lambda _: (
            "307 Temporary",
            {"Location": "http://x.org/"},
            [manifest],
        )
        assert "redirects from https to http, where anyone could change it" in failure(registry)


@pytest.mark.slow
def test_a_token_does_not_go_with_a_redirect(registry: ImageRegistry, tmp_path: Path) -> None:
    _, blobs = registry.add("lab/tool:1", IMAGE)
    registry.wants_login = True
    log_in(tmp_path, registry.host)

    def elsewhere(environ: "WSGIEnvironment", start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [blobs[1]]

    recording = Recording(elsewhere)
    with http_server(recording) as port:
        location = {"Location": f"http://127.0.0.1:{port}/cdn"}
        registry.answers[f"lab/tool/blobs/sha256:{sha256(blobs[1])}"] = lambda _: ("307 Temporary", location, [b""])
        assert inspect_archive(ArchiveStream(io.BytesIO(fetch(registry)[0]), name="x")).image_id == IMAGE.image_id
    assert recording.authorizations == {None}


@pytest.mark.parametrize("token", ["", "refresh"], ids=["password", "identity token"])
@pytest.mark.parametrize("status", ["307 Temporary", "308 Permanent"])
def test_a_token_service_that_has_moved(registry: ImageRegistry, tmp_path: Path, status: str, token: str) -> None:
    """The login goes along on the same server, and to no other one."""
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login, registry.realm = True, f"http://{registry.host}/old"
    log_in(tmp_path, registry.host, **({"identitytoken": token} if token else {}))
    forms: list[bytes] = []

    def answer(environ: "WSGIEnvironment") -> Answer:
        forms.append(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return "200 OK", {}, [b'{"token": "for-the-owner"}']

    def elsewhere(environ: "WSGIEnvironment", start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b'{"token": "for-anybody"}']

    def ask_at(where: str) -> None:
        moved = {"Location": f"{where}/new"}
        registry.answers = {"/old": lambda _: (status, moved, [b""]), "/new": answer}

    ask_at("")
    registry.wants_login = False
    with RegistrySession(parse_registry_address(f"{registry.host}/lab/tool:1")) as session:
        challenge = {"bearer": {"realm": registry.realm}}
        assert session._log_in(challenge) == {"Authorization": "Bearer for-the-owner"}
        assert (b"refresh_token=refresh" in forms[0]) == bool(token)
        sent = {path: authorization for _, path, authorization in registry.requests}
        assert bool(sent["/new"]) == (not token)
        recording = Recording(elsewhere)
        with http_server(recording) as port:
            ask_at(f"http://127.0.0.1:{port}")
            if token:
                with pytest.raises(SkyportError, match="redirects what is sent to it to another server"):
                    session._log_in(challenge)
            else:
                assert session._log_in(challenge) == {"Authorization": "Bearer for-anybody"}
        assert recording.authorizations == (set() if token else {None})


@pytest.mark.parametrize(
    "challenge",
    [
        'bearer Realm="{}",SERVICE=here',
        'Basic realm="x"\nBearer realm="{}",service="here"',
        'Basic realm="a, Bearer b", Bearer realm="{}", service="here"',
        'Negotiate, Bearer  realm = "{}" , service=here,Basic realm="x"',
    ],
)
def test_one_of_several_ways_to_log_in(registry: ImageRegistry, tmp_path: Path, challenge: str) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login, registry.challenge = True, challenge
    log_in(tmp_path, registry.host)
    assert find(registry).image_id == IMAGE.image_id


@pytest.mark.parametrize(
    "challenge", ["", "Bearer", "Bearer realm", 'service="here"', "=", ",,", 'Bearer realm="', "Negotiate {}"]
)
def test_no_way_to_log_in(registry: ImageRegistry, tmp_path: Path, challenge: str) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login, registry.challenge = True, challenge
    log_in(tmp_path, registry.host)
    assert "or not for this login (HTTP 401)" in failure(registry)


def test_a_registry_without_tls_elsewhere(registry: ImageRegistry) -> None:
    """It is said at once: asking again mends nothing."""
    registry.add("lab/tool:1", IMAGE)
    address = parse_registry_address(f"0.0.0.0:{registry.port}/lab/tool:1")
    with RegistrySession(address) as session, pytest.raises(SkyportError) as caught:
        find_image(session, address, platform="linux/amd64")
    assert not isinstance(caught.value, TemporaryError)
    assert "does not speak TLS. Registries without it are asked on this machine alone." in str(caught.value)
    assert registry.requests == []


@pytest.mark.parametrize(
    "realm", ["http://example.org/token", "ftp://127.0.0.1/", "https://x@127.0.0.1/", "https://", "http://[", "x"]
)
def test_a_login_does_not_go_where_anyone_reads_it(registry: ImageRegistry, tmp_path: Path, realm: str) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login, registry.realm = True, realm
    log_in(tmp_path, registry.host)
    assert f"{registry.host} wants a login to be sent where anyone could read it." in failure(registry)


def test_a_login_at_something_that_is_no_address(registry: ImageRegistry) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login, registry.realm = True, "https://a..b/x"
    assert failure(registry).startswith("https://a..b/x cannot be asked for: ")


@pytest.mark.parametrize(
    "config", ["{", "[]", '{"auths": 5}', '{"auths": {"HOST": 5}}', '{"auths": {"HOST": {"auth": 5}}}']
)
def test_a_file_of_logins_that_makes_no_sense(registry: ImageRegistry, tmp_path: Path, config: str) -> None:
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login = True
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(config.replace("HOST", registry.host))
    told = failure(registry)
    if config == "{":
        # Not even JSON, so that no login is found in it.
        assert f"docker login {registry.host}" in told
    else:
        assert told.startswith(f"docker's config cannot be used: {tmp_path / 'docker/config.json'}: Expected ")


def test_a_program_that_keeps_the_password(
    registry: ImageRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not get the Shock token."""
    registry.add("lab/tool:1", IMAGE)
    registry.wants_login = True
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"credHelpers": {registry.host: "tests"}}))
    assert "cannot be read from docker's config" in failure(registry), "it is not installed"
    # As some tools leave the config of who has a program for all passwords.
    config = {"auths": {registry.host: {"auth": ""}, "other.org": {"auth": ""}}, "credsStore": "tests"}
    program = tmp_path / "docker-credential-tests"
    program.write_text(
        f"#!/bin/sh\nenv >{tmp_path}/env\n"
        f"echo '{json.dumps({'ServerURL': registry.host, 'Username': USER, 'Secret': PASSWORD})}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("KB_AUTH_TOKEN", "for-shock-alone")
    assert find(registry).image_id == IMAGE.image_id
    assert "for-shock-alone" not in (tmp_path / "env").read_text()
    (tmp_path / "docker/config.json").write_text(json.dumps(config))
    assert find(registry).image_id == IMAGE.image_id
