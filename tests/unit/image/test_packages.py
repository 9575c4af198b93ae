"""Packages in an image, from the databases that package managers leave.

The databases of rpm were written by rpm itself (SQLite, ndb) and by Berkeley DB's own tools; rpm reads all of them.
"""

import gzip
import sqlite3
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skyport_wf.image.examination.packages.catalogue import PackageCatalogue
from skyport_wf.image.examination.packages.operating_system import OperatingSystem
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.packages.rpm import read_packages
from tests.support.docker_archives import Image, layer_tar, legacy, member, tar_of
from tests.support.examined_images import examine

DATA = Path(__file__).parent / "data/rpm"
DEBIAN = b"""\
Package: samtools
Status: install ok installed
Maintainer: J\xf6rg <j@example.org>
Architecture: amd64
Version: 1.16.1-1
Description: processing sequence alignments
 Version: 9 (of the description)
 .
 more

Package: libxyz1
Status: install ok installed
Architecture: amd64
Source: xyz (2.0)
Version: 1:2.0+b1

Package: removed
Status: deinstall ok config-files
Version: 1

Package: half
Status: install ok half-configured
Architecture: all
Version: 3
"""
ALPINE = b"""\
C:Q1abc=
P:musl
V:1.2.5-r0
A:x86_64
o:musl

P:libcrypto3
V:3.3.1-r0
A:x86_64
o:openssl
F:lib
R:libcrypto.so.3
"""
METADATA = b"Metadata-Version: 2.1\nName: pysam\nVersion: 0.22.0\nLicense: MIT\n\nName: of the description\n"
DESCRIPTION = b"Package: DESeq2\nVersion: 1.40.2\nTitle: x\nbiocViews: Sequencing\nBuilt: R 4.3.1; unix\n"
CONDA = (
    b'{"name": "samtools", "version": "1.18", "build": "h50ea8bc_1", "subdir": "linux-64", "files": ["bin/samtools"],'
    b' "channel": "https://conda.anaconda.org/bioconda/linux-64"}'
)


def found_in(path: str, content: bytes) -> tuple[Package, ...]:
    catalogue = PackageCatalogue()
    number = catalogue.read(path.encode(), len(content), lambda limit: content)
    return () if number is None else catalogue.packages(catalogue.own([number]))


def names_in(path: str, content: bytes) -> list[tuple[str, str]]:
    return [(package.name, package.version) for package in found_in(path, content)]


def notes_on(path: str, content: bytes, *, size: int | None = None) -> tuple[str, ...]:
    catalogue = PackageCatalogue()
    catalogue.read(path.encode(), size or len(content), lambda limit: content)
    return catalogue.notes


def test_debian() -> None:
    path = "var/lib/dpkg/status"
    assert found_in(path, DEBIAN) == (
        Package("deb", "half", "3", "all", "", path),
        Package("deb", "libxyz1", "1:2.0+b1", "amd64", "xyz", path),
        Package("deb", "samtools", "1.16.1-1", "amd64", "", path),
    )


def test_a_distroless_image() -> None:
    content = b"Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n"
    assert names_in("var/lib/dpkg/status.d/tzdata", content) == [("tzdata", "2024a-0")]


@pytest.mark.parametrize("path", ["lib/apk/db/installed", "usr/lib/apk/db/installed"])
def test_alpine(path: str) -> None:
    assert found_in(path, ALPINE) == (
        Package("apk", "libcrypto3", "3.3.1-r0", "x86_64", "openssl", path),
        Package("apk", "musl", "1.2.5-r0", "x86_64", "", path),
    )


@pytest.mark.parametrize(
    "path",
    [
        "usr/lib/python3/dist-packages/pysam-0.22.0.dist-info/METADATA",
        "opt/venv/lib/python3.11/site-packages/pysam-0.22.0.egg-info/PKG-INFO",
        "usr/lib/python2.7/dist-packages/pysam-0.22.0.egg-info",
        "site-packages/pysam.dist-info/METADATA",
        "opt/lib/python3.6/site-packages/pysam-0.22.0-py3.6-linux-x86_64.egg/EGG-INFO/PKG-INFO",
    ],
)
def test_python(path: str) -> None:
    assert found_in(path, METADATA) == (Package("pypi", "pysam", "0.22.0", "", "", path),)


@pytest.mark.parametrize(
    "path",
    [
        "opt/conda/pkgs/pysam-0.22.0-py311/lib/python3.11/site-packages/pysam.dist-info/METADATA",
        "usr/lib/python3/dist-packages/setuptools/_vendor/pysam.dist-info/METADATA",
        "usr/lib/python3/dist-packages/pysam.dist-info/RECORD",
        "usr/lib/python3/dist-packages/pysam.egg/EGG-INFO/requires.txt",
        "usr/lib/python3/dist-packages/~ysam-0.22.0.dist-info/METADATA",
        "usr/lib/python3/dist-packages/~-sam-0.22.0.egg-info/PKG-INFO",
        "usr/lib/python3/dist-packages/-ysam-0.22.0-py3.11.egg-info",
        "root/pysam.egg/EGG-INFO/PKG-INFO",
        "root/METADATA",
    ],
)
def test_python_that_is_not_installed(path: str) -> None:
    assert found_in(path, METADATA) == ()


def test_r_and_bioconductor() -> None:
    path = "usr/local/lib/R/site-library/DESeq2/DESCRIPTION"
    assert found_in(path, DESCRIPTION) == (Package("bioconductor", "DESeq2", "1.40.2", "", "", path),)
    plain = DESCRIPTION.replace(b"biocViews: Sequencing\n", b"")
    for of_cran in (plain, plain + b"biocViews: \n"):
        assert found_in(path, of_cran) == (Package("cran", "DESeq2", "1.40.2", "", "", path),)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("Repository: CRAN", "cran"),
        ("Repository: RSPM", "cran"),
        ("Repository: https://cran.lab.org/latest\ngit_url: https://github.com/lab/DESeq2", "cran"),
        ("Repository: Bioconductor 3.18", "bioconductor"),
        ("Repository: https://bioc.r-universe.dev", "bioconductor"),
        ("Repository: RSPM\ngit_url: https://git.bioconductor.org/packages/DESeq2", "bioconductor"),
        ("git_url: https://git.bioconductor.org/packages/DESeq2", "bioconductor"),
        ("git_url:\n    https://git.bioconductor.org/packages/DESeq2\n    and more", "bioconductor"),
        ("Repository:\n\tCRAN", "cran"),
    ],
)
def test_the_repository_tells_what_is_of_bioconductor(fields: str, kind: str) -> None:
    (package,) = found_in("usr/lib/R/library/DESeq2/DESCRIPTION", DESCRIPTION + fields.encode() + b"\n")
    assert package.kind == kind


@pytest.mark.parametrize("path", ["opt/pkgs/R/DESeq2", "pkgs/DESeq2", "opt/pkgs/my-env/lib/R/library/DESeq2"])
def test_a_folder_called_pkgs_that_is_not_condas(path: str) -> None:
    assert [package.name for package in found_in(f"{path}/DESCRIPTION", DESCRIPTION)] == ["DESeq2"]
    for metadata in ("x-1.dist-info/METADATA", "x-1-py3.11.egg-info/PKG-INFO", "x-1-py3.11.egg/EGG-INFO/PKG-INFO"):
        distribution = f"opt/pkgs/lib/python3.11/site-packages/{metadata}"
        assert [package.name for package in found_in(distribution, b"Name: x\nVersion: 1\n")] == ["x"]


def test_r_that_is_not_installed() -> None:
    assert found_in("root/DESeq2/DESCRIPTION", DESCRIPTION.replace(b"Built: R 4.3.1; unix\n", b"")) == ()
    assert found_in("root/other/DESCRIPTION", DESCRIPTION) == ()
    for lock in ("00LOCK/DESeq2", "00LOCK-DESeq2/DESeq2", "00LOCK-DESeq2/00new/DESeq2"):
        assert found_in(f"usr/local/lib/R/site-library/{lock}/DESCRIPTION", DESCRIPTION) == ()
    assert found_in("opt/conda/pkgs/r-x-1.0-r43_0/lib/R/library/DESeq2/DESCRIPTION", DESCRIPTION) == ()


def test_conda() -> None:
    path = "opt/conda/envs/ngs/conda-meta/samtools-1.18-h50ea8bc_1.json"
    assert found_in(path, CONDA) == (Package("conda", "samtools", "1.18=h50ea8bc_1", "linux-64", "bioconda", path),)
    plain = b'{"name": "x", "version": "1", "channel": "defaults"}'
    assert found_in(path, plain) == (Package("conda", "x", "1", "", "defaults", path),)
    without = b'{"name": "x", "version": "1", "build": null, "channel": null, "subdir": null}'
    assert found_in(path, without) == (Package("conda", "x", "1", "", "", path),)
    assert found_in(path, b"\xef\xbb\xbf" + plain) == found_in(path, plain)


@pytest.mark.parametrize(
    ("channel", "source"),
    [
        ("https://conda.lab.org/noarch", "conda.lab.org"),
        ("https://lab:SECRET@conda.lab.org/noarch", "conda.lab.org"),
        ("https://lab:SECRET@conda.lab.org:8443/", "conda.lab.org:8443"),
        ("https://lab:SEC/RET@conda.lab.org/noarch", "conda.lab.org"),
        ("https://lab:a/t/SECRET@conda.lab.org/noarch", "conda.lab.org"),
        ("https://lab:SECRET@conda.lab.org/tools/noarch", "tools"),
        ("https://conda.lab.org/t/SECRET/noarch", "conda.lab.org"),
        ("https://conda.lab.org/t/SECRET", "conda.lab.org"),
        ("https://conda.lab.org/t/SECRET/tools/noarch", "tools"),
        ("https://lab:SECRET@conda.lab.org/t/SECRET/noarch", "conda.lab.org"),
        ("t/SECRET/tools", "tools"),
        ("https://conda.lab.org/t/noarch", "t"),
        ("https://conda.lab.org/t/SECRET/label/dev/noarch", "conda.lab.org/label/dev"),
        ("https://lab:SECRET@conda.lab.org/t/SECRET/tools/label/dev", "tools/label/dev"),
        ("t/SECRET/label/dev", "dev"),
        ("file:///srv/tools/noarch", "tools"),
    ],
)
def test_no_secret_of_a_conda_channel_is_in_a_list(channel: str, source: str) -> None:
    content = f'{{"name": "x", "version": "1", "subdir": "noarch", "channel": "{channel}"}}'.encode()
    (package,) = found_in("opt/conda/conda-meta/x-1-0.json", content)
    assert package.source == source


@pytest.mark.parametrize(
    ("channel", "source"),
    [
        ("https://conda.anaconda.org/nvidia/label/cuda-12.1.1/noarch", "nvidia/label/cuda-12.1.1"),
        ("conda-forge/label/cf202003", "conda-forge/label/cf202003"),
        ("https://conda.anaconda.org/bioconda/label/main/noarch", "bioconda"),
        ("https://repo.anaconda.com/pkgs/main/noarch", "pkgs/main"),
        ("pkgs/r", "pkgs/r"),
        ("https://conda.anaconda.org/label/noarch", "label"),
        ("file:///label/dev", "dev"),
        ("file:///srv/pkgs", "pkgs"),
    ],
)
def test_a_conda_channel_has_the_name_that_conda_takes(channel: str, source: str) -> None:
    content = f'{{"name": "x", "version": "1", "subdir": "noarch", "channel": "{channel}"}}'.encode()
    (package,) = found_in("opt/conda/conda-meta/x-1-0.json", content)
    assert package.source == source


def test_a_value_may_begin_below_its_field() -> None:
    content = DESCRIPTION.replace(b"Version: ", b"Version:\n    ").replace(b"biocViews: ", b"biocViews:\n    ")
    (package,) = found_in("usr/lib/R/library/DESeq2/DESCRIPTION", content)
    assert (package.kind, package.version) == ("bioconductor", "1.40.2")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("site-packages/x-1.dist-info/METADATA", b""),
        ("site-packages/x-1.dist-info/METADATA", b"Name: x\n"),
        ("site-packages/x-1.dist-info/METADATA", b"\nName: x\nVersion: 1\n"),
        ("usr/lib/R/library/x/DESCRIPTION", b"Package: x\nVersion:\nBuilt: R 4.3.1\n"),
        ("opt/conda/conda-meta/x-1-0.json", b'{"name": "x", "version": ""}'),
    ],
)
def test_a_file_that_does_not_name_its_package_is_noted(path: str, content: bytes) -> None:
    assert notes_on(path, content) == (
        f"{path} was not read to its end for packages: it names no package, or no version of it",
    )


@pytest.mark.parametrize(
    ("path", "database"),
    [
        ("var/lib/rpm/rpmdb.sqlite", "sqlite"),
        ("usr/lib/sysimage/rpm/rpmdb.sqlite", "sqlite"),
        ("usr/lib/sysimage/rpm/Packages.db", "ndb"),
        ("var/lib/rpm/Packages", "berkeley-little-endian"),
        ("var/lib/rpm/Packages", "berkeley-big-endian"),
    ],
)
def test_rpm(path: str, database: str) -> None:
    assert found_in(path, recorded(database)) == (
        Package("rpm", "samtools", "2:1.16.1-1", "noarch", "", path),
        Package("rpm", "velvet", "1.2.10-3.el8", "noarch", "", path),
    )


def test_azure_linux_without_a_package_manager() -> None:
    path = "var/lib/rpmmanifest/container-manifest-2"
    table = (
        b"openssl-libs\t1.1.1k-28.cm2\t17\t16\tMicrosoft\t(none)\t30\tx86_64\t0\topenssl-1.1.1k-28.cm2.src.rpm\n"
        b"samtools\t1.16.1-1\t17\t16\tMicrosoft\t2\t30\tnoarch\t2\t(none)\n"
    )
    assert found_in(path, table) == (
        Package("rpm", "openssl-libs", "1.1.1k-28.cm2", "x86_64", "openssl", path),
        Package("rpm", "samtools", "2:1.16.1-1", "noarch", "", path),
    )
    (note,) = notes_on(path, b"openssl 1.1.1k\n")
    assert note.startswith(f"{path} was not read to its end for packages: a line of the table has too few fields")


def recorded(database: str) -> bytes:
    return gzip.decompress((DATA / f"{database}.gz").read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("database", sorted(path.stem for path in DATA.iterdir()))
@given(data=st.data())
def test_a_damaged_rpm_database_is_an_error_that_is_caught(database: str, data: st.DataObject) -> None:
    content = bytearray(recorded(database))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), len(content) // 2, 600, 40]))]
    tracemalloc.start()
    try:
        list(read_packages("var/lib/rpm/Packages", bytes(content)))
    except ValueError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 20 * len(recorded(database)) + 1_000_000


def sqlite_database(*statements: str) -> bytes:
    database = sqlite3.connect(":memory:")
    for statement in statements:
        database.execute(statement)
    database.commit()
    return database.serialize()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW Packages AS WITH RECURSIVE n(hnum) AS (SELECT 1 UNION ALL SELECT hnum+1 FROM n)"
        " SELECT hnum, x'00' AS blob FROM n",
        "CREATE VIEW Packages AS WITH RECURSIVE n(hnum) AS (SELECT 1 UNION ALL SELECT hnum+1 FROM n)"
        " SELECT hnum, x'' AS blob FROM n WHERE hnum < 0",
        "CREATE VIEW Packages AS SELECT 1 AS hnum, zeroblob(900000000) AS blob",
        "CREATE VIEW Packages AS SELECT 1 AS hnum, 1000000000000 AS blob",
        "CREATE TABLE Other (hnum, blob)",
    ],
)
def test_a_database_made_to_do_harm(statement: str) -> None:
    (note,) = notes_on("var/lib/rpm/rpmdb.sqlite", sqlite_database(statement))
    assert note.startswith("var/lib/rpm/rpmdb.sqlite was not read to its end for packages: it is damaged")


def test_an_ndb_whose_packages_overlap() -> None:
    slots = b"".join(struct.pack("<4sIII", b"Slot", 1, 256, 9) for _ in range(254))
    blob = struct.pack("<4sIII", b"BlbS", 1, 0, 4000) + bytes(4000)
    content = struct.pack("<4sIII16x", b"RpmP", 0, 1, 1) + slots + blob
    (note,) = notes_on("usr/lib/sysimage/rpm/Packages.db", content)
    assert "its packages overlap" in note


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("opt/conda-meta/x.json", b"", "Input data was truncated"),
        ("opt/conda-meta/x.json", b'{"name": 5}', "Expected `str`, got `int`"),
        ("opt/conda-meta/x.json", b"[" * 100_000, ""),
        ("var/lib/rpm/Packages", b"garbage", "its format is unknown"),
        ("var/lib/rpm/rpmdb.sqlite", b"SQLite format 3\0" + bytes(5000), "it is damaged"),
    ],
)
def test_what_cannot_be_read_is_noted(path: str, content: bytes, reason: str) -> None:
    (note,) = notes_on(path, content)
    assert note.startswith(f"{path} was not read to its end for packages: ") and reason in note


def test_a_file_that_is_too_large_is_noted_and_not_read() -> None:
    catalogue = PackageCatalogue()
    catalogue.read(b"var/lib/dpkg/status", 1 << 40, lambda limit: pytest.fail("was read"))
    assert catalogue.notes == ("var/lib/dpkg/status was not read for packages: 1,099,511,627,776 bytes are too many",)


def test_a_thousand_bad_files_make_few_notes() -> None:
    catalogue = PackageCatalogue()
    for number in range(1000):
        catalogue.read(b"conda-meta/%d.json" % number, 1, lambda limit: b"x")
    assert len(catalogue.notes) == 11
    assert catalogue.notes[-1] == "990 more package databases could not be read"


def test_names_that_would_garble_a_terminal() -> None:
    content = b"Package: a\x1b[31mb\nVersion: 1\xe2\x80\xae2\n\nPackage: x\n\nVersion: 1\n\nPackage: \nVersion: 1\n"
    assert names_in("var/lib/dpkg/status", content) == [("a[31mb", "12")]
    assert names_in("var/lib/dpkg/status", b"Package: " + b"n" * 9999 + b"\nVersion: 1\n") == [("n" * 300, "1")]


@given(st.binary(max_size=300))
@example(b"\n:\n: :\n \n")
def test_garbage_is_read_or_noted(content: bytes) -> None:
    for path in ("var/lib/dpkg/status", "lib/apk/db/installed", "x/DESCRIPTION", "conda-meta/x.json", "etc/os-release"):
        found_in(path, content)


@pytest.mark.slow
def test_many_short_lines_take_little_memory() -> None:
    content = b"".join(b"%d:\n" % number for number in range(1_000_000))
    tracemalloc.start()
    found_in("var/lib/dpkg/status", content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def system_of(content: bytes) -> OperatingSystem | None:
    catalogue = PackageCatalogue()
    number = catalogue.read(b"usr/lib/os-release", len(content), lambda limit: content)
    assert number is not None
    return catalogue.operating_system([number])


def test_the_operating_system() -> None:
    content = b'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n# a comment\n'
    assert system_of(content) == OperatingSystem("debian", "12", "Debian GNU/Linux 12 (bookworm)")
    assert system_of(b"ID=arch\n") == OperatingSystem("arch", "", "arch")


@pytest.mark.parametrize("content", [b"", b"ID=\n", b"NAME=x\n", b'ID="unfinished\n'])
def test_no_operating_system(content: bytes) -> None:
    assert system_of(content) is None


# --- in an image -----------------------------------------------------------------------------------------------------


def test_only_what_the_image_shows_counts() -> None:
    old = layer_tar({"var/lib/dpkg/status": DEBIAN, "opt/conda-meta/x.json": CONDA, "usr/lib/os-release": b"ID=a\n"})
    new = layer_tar({"var/lib/dpkg/status": b"Package: new\nVersion: 2\n", "opt/conda-meta/.wh.x.json": b""})
    found = examine(Image((old, new)))
    assert [package.name for package in found.packages] == ["new"]
    assert found.operating_system == OperatingSystem("a", "", "a")
    assert found.notes == ()


def test_a_link_is_not_followed() -> None:
    link = member("var/lib/dpkg/status", b"2", target="/etc/passwd")
    assert examine(Image((tar_of([link]),))).packages == ()


def test_layers_may_come_in_any_order() -> None:
    image = Image(tuple(layer_tar({"var/lib/dpkg/status": b"Package: p\nVersion: %d\n" % n}) for n in range(9)))
    assert [info.name for info, _ in legacy(image) if info.name.endswith("layer.tar")][:1]
    assert [package.version for package in examine(image).packages] == ["8"]
