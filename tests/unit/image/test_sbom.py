"""The CycloneDX document: valid, the same bytes each time, with URLs that scanners know."""

import json
from itertools import product
from typing import Any, get_args

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from skyport_wf.image.examination.package_list import PackageList
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package, PackageKind
from skyport_wf.image.examination.sbom import make_sbom, package_url
from tests.support.docker_archives import Image, layer_tar
from tests.support.examined_images import examine

DEBIAN_12 = OperatingSystem("debian", "12", "Debian GNU/Linux 12 (bookworm)")
IMAGE = Image(
    (
        layer_tar(
            {
                "usr/lib/os-release": b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
                "var/lib/dpkg/status": b"Package: libhts3\nVersion: 1.16+ds-3\nArchitecture: amd64\nSource: htslib\n",
                "a/site-packages/pysam.dist-info/METADATA": b"Name: pysam\nVersion: 0.22.0\n",
                "b/site-packages/pysam.dist-info/METADATA": b"Name: pysam\nVersion: 0.22.0\n",
                "c/site-packages/pysam.dist-info/METADATA": "Name: pysäm & <co>\nVersion: 1\n".encode(),
            }
        ),
    )
)


def document() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(make_sbom("skyport/samtools:1.16", examine(IMAGE).listed))
    return read


def test_it_follows_the_schema() -> None:
    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(
        make_sbom("skyport/a:1", examine(IMAGE).listed).decode()
    )
    assert found is None, found


def test_an_image_without_packages_follows_the_schema() -> None:
    content = make_sbom("name without tag", examine(Image((layer_tar({}),))).listed).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content) is None
    assert "components" not in json.loads(content)


def test_the_same_image_gives_the_same_bytes() -> None:
    first, second = (make_sbom("skyport/a:1", examine(IMAGE).listed) for _ in range(2))
    assert first == second
    assert "timestamp" not in json.loads(first)["metadata"]


@pytest.mark.parametrize(
    ("name", "repository", "version"),
    [
        ("lab/x:1.0", "lab/x", "1.0"),
        ("registry.lab.org:5000/lab/x:1.0", "registry.lab.org:5000/lab/x", "1.0"),
        ("registry.lab.org:5000/lab/x", "registry.lab.org:5000/lab/x", IMAGE.image_id),
    ],
)
def test_an_image_by_any_name(name: str, repository: str, version: str) -> None:
    found = json.loads(make_sbom(name, examine(IMAGE).listed))["metadata"]["component"]
    assert (found["name"], found["version"]) == (repository, version)


def test_another_name_has_another_serial_number() -> None:
    one, other = (json.loads(make_sbom(name, examine(IMAGE).listed))["serialNumber"] for name in ("a/b:1", "a/b:2"))
    assert one != other


def test_what_the_document_is_about() -> None:
    about = document()["metadata"]["component"]
    assert about == {
        "bom-ref": IMAGE.image_id, "name": "skyport/samtools", "type": "container", "version": "1.16",
    }  # fmt: skip
    (tool,) = document()["metadata"]["tools"]["components"]
    assert tool["name"] == "skyport-wf"


def test_components() -> None:
    components = {component["name"]: component for component in document()["components"]}
    assert set(components) == {"debian", "libhts3", "pysam", "pysäm & <co>"}
    assert components["debian"]["type"] == "operating-system"
    assert components["libhts3"]["version"] == "1.16+ds-3"
    assert components["libhts3"]["purl"] == "pkg:deb/debian/libhts3@1.16%2Bds-3?arch=amd64&distro=debian-12"
    assert components["libhts3"]["properties"] == [{"name": "skyport-wf:source", "value": "htslib"}]


def test_a_package_that_is_there_twice_is_one_component() -> None:
    (pysam,) = [component for component in document()["components"] if component["name"] == "pysam"]
    assert [place["location"] for place in pysam["evidence"]["occurrences"]] == [
        "a/site-packages/pysam.dist-info/METADATA",
        "b/site-packages/pysam.dist-info/METADATA",
    ]


def test_a_package_under_two_spellings_is_one_component_with_the_same_reference_each_time() -> None:
    metadata = {
        "usr/lib/python3/dist-packages/PyYAML.egg-info": b"Name: PyYAML\nVersion: 6.0.1\n",
        "venv/site-packages/pyyaml.dist-info/METADATA": b"Name: pyyaml\nVersion: 6.0.1\n",
    }
    listed = examine(Image((layer_tar(metadata),))).listed
    first, second = (make_sbom("skyport/a:1", listed) for _ in range(2))
    assert first == second
    (component,) = json.loads(first)["components"]
    assert component["bom-ref"] == component["purl"] == "pkg:pypi/pyyaml@6.0.1"
    assert [place["location"] for place in component["evidence"]["occurrences"]] == list(metadata)


@pytest.mark.parametrize("kind", get_args(PackageKind))
def test_any_name_and_version_can_be_there(kind: PackageKind) -> None:
    written = set(product(("/", "//", "/ /", "a/", "-", "%", "?#@", "é"), ("1", "/", ":", "=", "1:", "=1", "?#@")))
    packages = tuple(Package(kind, name, version, "/", "/", "/") for name, version in sorted(written))
    content = make_sbom("a", PackageList("sha256:1", packages, OperatingSystem("/", "/", "/")))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode()) is None
    libraries = [part for part in json.loads(content)["components"] if part["type"] == "library"]
    assert {(part["name"], part["version"]) for part in libraries} == written
    assert {part["name"] for part in libraries if "purl" not in part} == {"/", "//"}


@pytest.mark.parametrize(
    ("kind", "name", "version", "architecture", "source", "expected"),
    [
        ("deb", "zlib1g", "1:1.2.13", "amd64", "zlib", "pkg:deb/debian/zlib1g@1:1.2.13?arch=amd64&distro=debian-12"),
        ("rpm", "x", "2:1.2-3.el8", "x86_64", "", "pkg:rpm/debian/x@1.2-3.el8?arch=x86_64&distro=debian-12&epoch=2"),
        ("rpm", "velvet", "1.2-3", "", "", "pkg:rpm/debian/velvet@1.2-3?distro=debian-12"),
        ("pypi", "Ruamel.Yaml_x", "1.0", "", "", "pkg:pypi/ruamel.yaml-x@1.0"),
        ("cran", "ggplot2", "3.5.1", "", "", "pkg:cran/ggplot2@3.5.1"),
        ("bioconductor", "DESeq2", "1.40.2", "", "", "pkg:bioconductor/DESeq2@1.40.2"),
        ("conda", "x", "1=h5_1", "linux-64", "bioconda", "pkg:conda/x@1?build=h5_1&channel=bioconda&subdir=linux-64"),
        ("conda", "x", "1", "", "", "pkg:conda/x@1"),
    ],
)  # fmt: skip
def test_package_urls(
    kind: PackageKind, name: str, version: str, architecture: str, source: str, expected: str
) -> None:
    url = package_url(Package(kind, name, version, architecture, source), DEBIAN_12)
    assert url is not None
    assert url.to_string() == expected
    assert PackageURL.from_string(expected) == url


def test_a_package_of_an_unknown_distribution() -> None:
    assert str(package_url(Package("apk", "musl", "1.2.5-r0", "x86_64"), None)) == "pkg:apk/musl@1.2.5-r0?arch=x86_64"
    rolling = OperatingSystem("arch", "", "Arch Linux")
    assert "distro=arch" in str(package_url(Package("rpm", "x", "1-1"), rolling))
