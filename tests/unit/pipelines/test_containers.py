"""`skyport_wf.container`: the address of an image in a registry, from the lock file, without asking anybody."""

import json
from pathlib import Path

import msgspec
import pytest

import skyport_wf
from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.records.encoding import encode_json
from skyport_wf.records.receipt import LockFile, lock_image
from tests.support.sample_records import NAME, receipt

DIGEST = "sha256:" + "9" * 64
FILE = "results/skyport/skyport_velvet_1.2.10/image.sif"


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the lock file of a workflow, which names a registry."""
    monkeypatch.chdir(tmp_path)
    write_lock(tmp_path / "images.lock.json", manifest_digest=DIGEST, registry="images.example.org")
    return tmp_path / "images.lock.json"


def write_lock(path: Path, **fields: str) -> None:
    entry = msgspec.structs.replace(lock_image(receipt()), **fields)
    path.write_bytes(encode_json(LockFile({NAME: entry})))


def test_the_address_is_that_of_the_lock_file(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert skyport_wf.container(NAME) == f"docker://images.example.org/skyport/velvet@{DIGEST}"
    assert skyport_wf.container(NAME, registry=False) == skyport_wf.sif(NAME) == FILE
    assert skyport_wf.container(Path(NAME)) == skyport_wf.container(NAME), "as Snakemake's own functions take paths"
    monkeypatch.setenv("SKYPORT_REGISTRY", "127.0.0.1:7445")
    assert skyport_wf.container(NAME) == f"docker://127.0.0.1:7445/skyport/velvet@{DIGEST}"
    write_lock(lock, registry="images.example.org")
    assert skyport_wf.container(NAME) == f"docker://127.0.0.1:7445/{NAME}", "a thin image, or an older one"


def test_a_file_where_no_registry_is_named(lock: Path) -> None:
    write_lock(lock, manifest_digest=DIGEST)
    assert skyport_wf.container(NAME) == FILE
    with pytest.raises(
        UsageError, match=r"^images\.lock\.json names no registry that has skyport/velvet:1\.2\.10\. Set"
    ):
        skyport_wf.container(NAME, registry=True)
    assert skyport_wf.container("a/b:1") == "results/skyport/a_b_1/image.sif"
    lock.unlink()
    assert skyport_wf.container(NAME) == FILE
    with pytest.raises(UsageError, match=r"^images\.lock\.json does not have skyport/velvet:1\.2\.10\. Publish it"):
        skyport_wf.container(NAME, registry=True)


def test_a_misspelt_name_is_said_with_the_one_that_is_meant(lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        r"^images\.lock\.json does not have skyport/velvt:1\.2\.10\. Did you mean skyport/velvet:1\.2\.10\? Publish it"
    )
    for registry in (None, True):
        with pytest.raises(UsageError, match=said):
            skyport_wf.container("skyport/velvt:1.2.10", registry=registry)
    assert skyport_wf.container("skyport/velvt:1.2.10", registry=False).endswith("velvt_1.2.10/image.sif")
    write_lock(lock)
    assert skyport_wf.container("skyport/velvt:1.2.10").endswith("velvt_1.2.10/image.sif"), "rules may come later"
    monkeypatch.setenv("SKYPORT_REGISTRY", "127.0.0.1:7445")
    with pytest.raises(UsageError, match=said):
        skyport_wf.container("skyport/velvt:1.2.10")


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", b'{"record": "skyport-wf build 2"}'])
def test_a_lock_file_that_is_none(lock: Path, wrong: bytes) -> None:
    lock.write_bytes(wrong)
    with pytest.raises(SkyportError, match=r"^images\.lock\.json "):
        skyport_wf.container(NAME)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("registry", "x.org/{wildcard}"),
        ("registry", "$(touch x).org"),
        ("registry", ""),
        ("manifest_digest", "' x"),
        ("manifest_digest", "{wildcard}"),
    ],
)
def test_a_lock_file_that_somebody_edited(lock: Path, field: str, value: str) -> None:
    """Snakemake puts the address into a shell command."""
    edited = json.loads(lock.read_text())
    edited["images"][NAME][field] = value
    lock.write_text(json.dumps(edited))
    with pytest.raises(UsageError, match=r"^images\.lock\.json"):
        skyport_wf.container(NAME, registry=True)
