"""One pass over an archive: what it finds, and what archives that were made to do harm can take from it."""

import gzip
import itertools
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyport_wf.byte_streams import ChunkReader
from skyport_wf.errors import ArchiveError
from skyport_wf.image.examination.examine import examine_archive
from skyport_wf.image.layers.file_index import FileIndex
from tests.support.commands import CHECKOUT
from tests.support.docker_archives import (
    LAYOUTS,
    File,
    Image,
    example_image,
    file_member,
    layer_tar,
    legacy,
    member,
    oci,
    tar_of,
)
from tests.support.examined_images import examine


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout(layout: str) -> None:
    image = example_image()
    found = examine_archive(ChunkReader([LAYOUTS[layout](image)]))
    assert found.contents.image_id == image.image_id
    assert found.files == (1, 2, 1, 0)
    assert found.waste is not None
    # The first layer is there a second time, and overwrites itself.
    assert found.waste.by_layer == (256 * 5000 + 4, 0, 0, 0)


def program(name: str, mode: int = 0o755, *, content: bytes = b"#!") -> File:
    info, data = file_member(name, content)
    info.mode = mode
    return info, data


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> File:
    return member(name, kind, target=target)


def folder(name: str) -> File:
    return member(name, tarfile.DIRTYPE)


BASH = [program("bin/bash")]
MERGED = [program("usr/bin/bash"), link("bin", "usr/bin")]


@pytest.mark.parametrize(
    ("layers", "has_bash"),
    [
        ([BASH], True),
        ([[program("bin/sh"), program("opt/bash"), program("bin/bash-static")]], False),
        ([[program("usr/bin/bash")]], False),
        ([MERGED], True),
        ([[*MERGED[:1], link("bin", "/usr/bin")]], True),
        ([[*MERGED[:1], link("bin", "usr/../usr/./bin")]], True),
        ([[*MERGED[:1], link("bin", "../../usr/bin/")]], True),
        ([[program("bin/bash", 0o644)]], False),
        ([[program("bin/bash", content=b"")]], False),
        ([[folder("bin/bash/")]], False),
        ([[program("bin/bash.real"), link("bin/bash", "bash.real")]], True),
        ([[program("bin/busybox"), link("bin/bash", "/bin/busybox")]], True),
        ([[link("bin/bash", "busybox")]], False),
        ([[link("bin/bash", "bash")]], False),
        ([[link("bin", "bin")]], False),
        ([[program("bin/a"), link("bin/bash", "bin/a", tarfile.LNKTYPE)]], True),
        ([[program("gnu/store/x-bash/bin/bash"), link("gnu/p", "store/x-bash"), link("bin", "gnu/p/bin")]], True),
        ([[program("bin/bash"), program("x")], [file_member("bin/.wh.bash", b"")]], False),
        ([BASH, [file_member(".wh.bin", b"")]], False),
        ([BASH, [file_member("bin/.wh..wh..opq", b"")]], False),
        ([BASH, [link("bin/bash", "gone")]], False),
        ([MERGED, [file_member("usr/bin/.wh.bash", b"")]], False),
        ([MERGED, [folder("bin/"), program("bin/other")]], False),
        ([MERGED, [program("bin/other")]], False),
        ([MERGED, [program("bin/bash")]], True),
        ([[program("usr/bin/bash")], [link("bin", "usr/bin")]], True),
        ([[program("usr/bin/bash")], [link("bin", "usr/bin")], [file_member(".wh.usr", b"")]], False),
        ([[program("usr/bin/bash")], [link("bin", "usr/bin"), file_member("usr/.wh.bin", b"")], MERGED[:1]], True),
    ],
)
def test_bash_is_looked_for_as_the_kernel_does(layers: list[list[File]], has_bash: bool) -> None:
    assert examine(Image(tuple(map(tar_of, layers)))).has_bash is has_bash


@pytest.mark.parametrize(("path", "whose"), [("gnu/store", "Guix"), ("nix/store", "Nix")])
def test_packages_in_a_store_are_said_not_to_be_listed(path: str, whose: str) -> None:
    files = [folder(path), program(f"{path}/abc-samtools-1.16.1/bin/samtools")]
    notes = examine(Image((tar_of(files),))).notes
    assert notes == (f"packages of {whose} are not listed: it has them in /{path}",)
    removed = tar_of([file_member(f"{path.partition('/')[0]}/.wh.store", b"")])
    assert examine(Image((tar_of(files), removed))).notes == ()


SPACK = "opt/spack/opt/spack/.spack-db/index.json"


@pytest.mark.parametrize(
    ("at", "told"),
    [
        ("nix/store/abc-samtools-1.16.1/bin/samtools", "Nix are not listed: it has them in /nix/store"),
        ("var/lib/pacman/local/bash-5.2-2/desc", "pacman are not listed: it has them in /var/lib/pacman/local"),
        ("var/db/pkg/app-shells/bash-5.2_p26/PF", "Portage are not listed: it has them in /var/db/pkg"),
        ("usr/lib/opkg/status", "opkg are not listed: it has them in /usr/lib/opkg/status"),
        ("var/lib/opkg/status", "opkg are not listed: it has them in /var/lib/opkg/status"),
        ("var/db/xbps/pkgdb-0.38.plist", "xbps are not listed: it has them in /var/db/xbps/pkgdb-0.38.plist"),
        ("home/linuxbrew/.linuxbrew/Cellar/jq/1.7/INSTALL_RECEIPT.json",
            "Homebrew are not listed: it has them in /home/linuxbrew/.linuxbrew/Cellar"),
        ("var/lib/chisel/manifest.wall", "Chisel are not listed: it has them in /var/lib/chisel/manifest.wall"),
        (SPACK, f"Spack are not listed: it has them in /{SPACK}"),
    ],
)  # fmt: skip
def test_packages_of_managers_that_are_not_read_are_told(at: str, told: str) -> None:
    # Not every tool names the folders that files are in.
    layer = tar_of([file_member(at, b"x")])
    assert examine(Image((layer,))).notes == (f"packages of {told}",)
    top, _, below = at.partition("/")
    linked = tar_of([file_member(f"data/{below}", b"x"), link(top, "data")])
    (note,) = examine(Image((linked,))).notes
    assert note.startswith(f"packages of {told.partition(':')[0]}")
    above, _, name = at.rpartition("/")
    for removed in (f".wh.{top}", f"{above}/.wh.{name}"):
        assert examine(Image((layer, tar_of([file_member(removed, b"")])))).notes == ()
    nothing = [file_member(f"srv/{at}.old", b"x"), folder("var/db/pkg"), file_member("var/lib/opkg/status", b"")]
    assert examine(Image((tar_of(nothing),))).notes == ()


def test_each_place_of_packages_that_are_not_read_is_told_once() -> None:
    files = [file_member("usr/lib/opkg/status", b"x"), link("var/lib/opkg", "../../usr/lib/opkg")]
    files += [file_member(SPACK, b"x"), file_member(f"other\x1b/{SPACK}", b"x")]
    assert [note.rpartition(" ")[2] for note in examine(Image((tar_of(files),))).notes] == [
        "/usr/lib/opkg/status", f"/{SPACK}", f"/other/{SPACK}",
    ]  # fmt: skip


STATUS = b"Package: openssl\nStatus: install ok installed\nVersion: 3\n\n"
NUMPY = b"Metadata-Version: 2.1\nName: numpy\nVersion: 1.26\n"
IN_CACHE = "root/.cache/uv/x/numpy-1.26.dist-info"
INSTALLED = "usr/lib/python3.11/site-packages/numpy-1.26.dist-info"


@pytest.mark.parametrize(
    ("layers", "names"),
    [
        # As uv installs: the file is in its cache, and comes first.
        ([[file_member(f"{IN_CACHE}/METADATA", NUMPY), link(f"{INSTALLED}/METADATA", f"{IN_CACHE}/METADATA",
            tarfile.LNKTYPE)]], ["numpy"]),
        ([[file_member(f"{IN_CACHE}/METADATA", NUMPY)]], []),
        ([[file_member(f"{IN_CACHE}/METADATA", NUMPY)], [link(INSTALLED, f"/{IN_CACHE}")]], ["numpy"]),
        ([[file_member("data/lib/dpkg/status", STATUS), link("var", "data")]], ["openssl"]),
        ([[link("var/lib/dpkg", "../../usr/lib/db")], [file_member("usr/lib/db/status", STATUS)]], ["openssl"]),
        ([[file_member("a/status", STATUS), link("var/lib/dpkg", "/a")], [file_member("var/lib/.wh.dpkg", b"")]], []),
        ([[file_member("var/lib/dpkg/status", STATUS), link("x", "var/lib/dpkg/status", tarfile.LNKTYPE)]],
            ["openssl"]),
        ([[file_member("status", b"all is well\n")]], []),
    ],
)  # fmt: skip
def test_packages_behind_links_are_listed(layers: list[list[File]], names: list[str]) -> None:
    found = examine(Image(tuple(map(tar_of, layers))))
    assert [package.name for package in found.packages] == names
    assert found.notes == ()


SIX = b"Metadata-Version: 2.1\nName: six\nVersion: 1.16\n"
SIX_AT = "usr/local/lib/python3.12/site-packages/six-1.16.dist-info/METADATA"
DPLYR = b"Package: dplyr\nVersion: 1.1\nBuilt: R 4.3.1; ; 2024-01-01 00:00:00 UTC; unix\n"
SAMTOOLS = b'{"name": "samtools", "version": "1.16", "build": "h1_0"}'


def hard(name: str, target: str) -> File:
    return link(name, target, tarfile.LNKTYPE)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("content", "at", "linked_at"),
    [
        (SIX, "root/.cache/uv/archive-v0/Ab/six-1.16.dist-info/METADATA", SIX_AT),
        (SIX, "opt/pkgs/six-1.16-py_0/site-packages/six-1.16.dist-info/METADATA", SIX_AT),
        (STATUS, "data/status", "var/lib/dpkg/status"),
        (
            DPLYR,
            "opt/conda/pkgs/r-dplyr-1.1-r43_0/lib/R/library/dplyr/DESCRIPTION",
            "opt/conda/lib/R/library/dplyr/DESCRIPTION",
        ),
        (SAMTOOLS, "cache/samtools-1.16-h1_0.json", "opt/conda/conda-meta/samtools-1.16-h1_0.json"),
    ],
)
def test_packages_behind_hard_links_in_every_layout(layout: str, content: bytes, at: str, linked_at: str) -> None:
    layer = tar_of([file_member(at, content), hard(linked_at, at)])
    whiteout = tar_of([file_member(f"{at.rpartition('/')[0]}/.wh.{at.rpartition('/')[2]}", b"")])
    # The layer is there twice; what hides the file leaves its other name alone.
    found = examine_archive(ChunkReader([LAYOUTS[layout](Image((layer, layer, whiteout)))]))
    assert (len(found.packages), found.notes) == (1, ())


PYTHON = "usr/lib/python3.11/site-packages"
LIBRARY = "usr/lib/R/library"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        ([file_member("opt/sp/numpy-1.26.dist-info/METADATA", NUMPY), link(PYTHON, "/opt/sp")], ["numpy"]),
        ([link(PYTHON, "../../../opt"), file_member("opt/six.egg-info/PKG-INFO", SIX), folder("opt")], ["six"]),
        ([file_member("numpy-1.26.dist-info/METADATA", NUMPY), link(PYTHON, "/")], ["numpy"]),
        ([file_member("opt/six.egg/EGG-INFO/PKG-INFO", SIX), link(PYTHON, "/opt")], ["six"]),
        ([file_member("opt/six/EGG-INFO/PKG-INFO", SIX), link(f"{PYTHON}/six.egg", "/opt/six")], ["six"]),
        ([file_member("opt/sp/deep/numpy-1.26.dist-info/METADATA", NUMPY), link(PYTHON, "/opt/sp")], []),
        # A link to a folder of links of either kind, as uv and Guix make.
        ([file_member("a/METADATA", NUMPY), file_member("b/METADATA", SIX), link("opt/numpy.dist-info", "/a"),
            hard("opt/six.dist-info/METADATA", "b/METADATA"), link(PYTHON, "/opt")], ["numpy", "six"]),
        ([file_member("opt/cm/samtools-1.16-h1_0.json", SAMTOOLS), file_member("opt/cm/history", b""),
            link("opt/conda/conda-meta", "../cm")], ["samtools"]),
        ([file_member("opt/cm/samtools-1.16-h1_0.json", SAMTOOLS), link("opt/pkgs/x-1-0/conda-meta", "/opt/cm"),
            file_member("opt/pkgs/x-1-0/info/index.json", b"{}")], []),
        ([file_member("opt/cm/samtools-1.16-h1_0.json", SAMTOOLS), link("opt/pkgs/x-1-0/conda-meta", "/opt/cm")],
            ["samtools"]),
        ([file_member("opt/dplyr-1.1/DESCRIPTION", DPLYR), link(f"{LIBRARY}/dplyr", "/opt/dplyr-1.1")], ["dplyr"]),
        ([file_member("opt/dplyr-1.1/DESCRIPTION", DPLYR), link(f"{LIBRARY}/other", "/opt/dplyr-1.1")], []),
        ([file_member("pkgs/dplyr/DESCRIPTION", DPLYR), link(f"{LIBRARY}/dplyr", "/pkgs/dplyr")], ["dplyr"]),
        ([file_member("a/DESCRIPTION", DPLYR), hard(f"{LIBRARY}/dplyr/DESCRIPTION", "a/DESCRIPTION")], ["dplyr"]),
        ([file_member("a/DESCRIPTION", DPLYR), hard(f"{LIBRARY}/other/DESCRIPTION", "a/DESCRIPTION")], []),
        ([link(PYTHON, PYTHON), link("x/site-packages", "/x"), link("y/site-packages", "gone")], []),
    ],
)  # fmt: skip
def test_packages_in_folders_that_are_links_are_listed(files: list[File], names: list[str]) -> None:
    found = examine(Image((tar_of(files),)))
    assert [package.name for package in found.packages] == names
    assert found.notes == ()


@pytest.mark.parametrize("folder", ["opt/pkgs/mytool-1.0-linux64", "pkgs/bioconda/noarch/mytool-1.0-0"])
@pytest.mark.parametrize("proof", ["info/index.json", "info/repodata_record.json"])
def test_only_what_is_in_condas_cache_is_not_listed(folder: str, proof: str) -> None:
    files = [
        file_member(f"{folder}/lib/python3.11/site-packages/numpy-1.26.dist-info/METADATA", NUMPY),
        file_member(f"{folder}/lib/R/library/dplyr/DESCRIPTION", DPLYR),
        file_member(f"{folder}/lib/R/library/other/DESCRIPTION", DPLYR),
        file_member(f"{folder}/conda-meta/samtools-1.16-h1_0.json", SAMTOOLS),
        hard(f"{folder}/lib/python3.12/site-packages/six-1.16.dist-info/METADATA", SIX_AT),
        link(f"{folder}/lib/python3.13/site-packages", "/opt/other"),
        file_member("opt/other/x.dist-info/METADATA", NUMPY.replace(b"numpy", b"x")),
    ]
    six = tar_of([file_member(SIX_AT, SIX), *files])
    found = examine(Image((six,)))
    assert sorted({package.name for package in found.packages}) == ["dplyr", "numpy", "samtools", "six", "x"]
    assert found.notes == ()
    cached = tar_of([file_member(f"{folder}/{proof}", b"{}")])
    assert [package.name for package in examine(Image((six, cached))).packages] == ["six"]
    removed = tar_of([file_member(f"{folder}/.wh.info", b"")])
    assert len(examine(Image((six, cached, removed))).packages) == len(found.packages)


def test_what_may_be_in_condas_cache_and_cannot_be_read_is_told() -> None:
    at = "opt/pkgs/mytool-1.0-0/conda-meta/samtools-1.16-h1_0.json"
    damaged = tar_of([file_member(at, SAMTOOLS[:-1])])
    why = "it is damaged, or too large, or one of too many"
    assert examine(Image((damaged,))).notes == (f"{at} was not read for packages: {why}",)
    cached = tar_of([file_member("opt/pkgs/mytool-1.0-0/info/index.json", b"{}")])
    assert examine(Image((damaged, cached))).notes == ()


def test_what_a_layer_removed_below_a_linked_folder_is_not_listed() -> None:
    layer = tar_of([file_member("opt/sp/numpy.dist-info/METADATA", NUMPY), link(PYTHON, "/opt/sp")])
    for removed in ("opt/sp/numpy.dist-info/.wh.METADATA", "opt/.wh.sp", "opt/sp/.wh..wh..opq"):
        assert examine(Image((layer, tar_of([file_member(removed, b"")])))).packages == ()


@pytest.mark.parametrize("at", ["var/lib/dpkg/status.d", "var/lib/dpkg", "var"])
def test_a_linked_folder_of_files_that_were_not_read_is_told(at: str) -> None:
    below = "var/lib/dpkg/status.d/base".removeprefix(at)
    found = examine(Image((tar_of([file_member(f"opt/st{below}", STATUS), link(at, "/opt/st")]),)))
    assert found.packages == ()
    why = f"it is a link to opt/st{below}, which is no name of a database"
    assert found.notes == (f"var/lib/dpkg/status.d/base was not read for packages: {why}",)


def test_no_more_is_looked_at_below_linked_folders_than_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "skyport_wf.image.examination.linked_databases"
    files = [file_member(f"opt/{number}.dist-info/METADATA", SIX) for number in range(4)]
    image = Image((tar_of([*files, link("a/site-packages", "/opt"), link("b/site-packages", "/opt")]),))
    why = "it is a link to /opt, which holds too many files, or is one of too many folders"
    with monkeypatch.context() as limit:
        limit.setattr(f"{where}._MOST_BELOW", 3)
        folders = ("a/site-packages", "b/site-packages")
        assert examine(image).notes == tuple(f"{at} was not read for packages: {why}" for at in folders)
    for name, value in (("_MOST_FOLDERS", 1), ("_MOST_BELOW", 7)):
        with monkeypatch.context() as limit:
            limit.setattr(f"{where}.{name}", value)
            found = examine(image)
            assert (len(found.packages), found.notes) == (4, (f"b/site-packages was not read for packages: {why}",))
    monkeypatch.setattr(f"{where}.MAX_LINKS", 5)
    assert examine(image).notes == ("5 more package databases are links, and were not read",)


RPM_DATABASE = (Path(__file__).parent / "data/rpm/sqlite.gz").read_bytes()
RPM = file_member("var/lib/rpm/rpmdb.sqlite", gzip.decompress(RPM_DATABASE))


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([[RPM, file_member("var/lib/rpm/rpmdb.sqlite-wal", b"x")]], "var/lib/rpm"),
        ([[RPM], [file_member("var/lib/rpm/rpmdb.sqlite-wal", b"x")]], "var/lib/rpm"),
        ([[file_member("usr/lib/sysimage/rpm/rpmdb.sqlite-wal", b"x"),
            link("var/lib/rpm", "../../usr/lib/sysimage/rpm")]], "usr/lib/sysimage/rpm"),
        ([[RPM, file_member("var/lib/rpm/rpmdb.sqlite-wal", b"")]], ""),
        ([[RPM, file_member("var/lib/rpm/rpmdb.sqlite-wal", b"x")],
            [file_member("var/lib/rpm/.wh.rpmdb.sqlite-wal", b"")]], ""),
    ],
)  # fmt: skip
def test_packages_in_the_log_beside_a_database_are_said_not_to_be_listed(layers: list[list[File]], told: str) -> None:
    note = f"{told}/rpmdb.sqlite-wal was not read for packages: there may be more than its database names"
    assert examine(Image(tuple(map(tar_of, layers)))).notes == ((note,) if told else ())


ALPINE = b"ID=alpine\n"
FEDORA = b"ID=fedora\n"


@pytest.mark.parametrize(
    ("files", "system"),
    [
        ([file_member("usr/lib/os-release", ALPINE), link("etc/os-release", "../usr/lib/os-release")], "alpine"),
        ([file_member("usr/lib/os.d/os-release-core", FEDORA), link("usr/lib/os-release", "os.d/os-release-core"),
            link("etc/os-release", "../usr/lib/os-release")], "fedora"),
        ([file_member("nix/abc-etc-os-release", FEDORA), hard("usr/lib/os-release", "nix/abc-etc-os-release")],
            "fedora"),
        ([file_member("data/os-release", FEDORA), link("etc", "/data")], "fedora"),
        ([file_member("etc/os-release", ALPINE), file_member("usr/lib/os-release", FEDORA)], "alpine"),
        # The one in /etc counts, though it is a link.
        ([file_member("opt/os-release", ALPINE), link("etc/os-release", "/opt/os-release"),
            file_member("usr/lib/os-release", FEDORA)], "alpine"),
        ([file_member("opt/x", ALPINE), link("etc/os-release", "/opt/x"), file_member("usr/lib/os-release", FEDORA)],
            "fedora"),
        ([file_member("opt/os-release", ALPINE)], None),
    ],
)  # fmt: skip
def test_the_distribution_is_found_behind_links(files: list[File], system: str | None) -> None:
    found = examine(Image((tar_of(files),)))
    assert (found.operating_system and found.operating_system.id, found.notes) == (system, ())


def test_a_distribution_behind_a_link_that_was_not_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def notes(*files: File) -> tuple[str, ...]:
        found = examine(Image((tar_of(list(files)),)))
        assert found.operating_system is None
        return found.notes

    told = "usr/lib/os-release was not read for the distribution: it is a link to opt/%s"
    assert notes(file_member("opt/x", ALPINE), link("usr/lib/os-release", "/opt/x")) == (told % "x",)
    monkeypatch.setattr("skyport_wf.image.examination.packages.catalogue._MOST_SYSTEMS", 1)
    files = [file_member(f"opt/os-release{number}", ALPINE) for number in range(2)]
    assert notes(*files, link("usr/lib/os-release", "/opt/os-release1")) == (told % "os-release1",)


def test_a_chain_of_hard_links_and_one_that_is_too_long() -> None:
    def chain(length: int) -> list[File]:
        names = ["cache/METADATA", *(f"x{number}" for number in range(length - 1)), SIX_AT]
        return [file_member(names[0], SIX), *(hard(name, target) for target, name in itertools.pairwise(names))]

    found = examine(Image((tar_of(chain(8)),)))
    assert ([package.name for package in found.packages], found.notes) == (["six"], ())
    found = examine(Image((tar_of(chain(9)),)))
    assert found.packages == ()
    assert found.notes == (f"{SIX_AT} was not read for packages: it is a hard link whose file is not found",)


def test_a_hard_link_to_a_file_of_another_layer_is_told() -> None:
    found = examine(Image((tar_of([file_member("cache/METADATA", SIX)]), tar_of([hard(SIX_AT, "cache/METADATA")]))))
    assert any(note.startswith("Docker cannot load it") for note in found.notes)


@pytest.mark.parametrize(
    ("content", "at", "linked_at"),
    [
        (SIX + bytes(1 << 20), "cache/METADATA", SIX_AT),
        (SAMTOOLS[:-1], "cache/samtools-1.16-h1_0.json", "opt/conda-meta/samtools-1.16-h1_0.json"),
    ],
)
def test_a_linked_database_that_cannot_be_read_is_told(content: bytes, at: str, linked_at: str) -> None:
    # Of what nobody takes for a database, nothing is told.
    assert examine(Image((tar_of([file_member(at, content)]),))).notes == ()
    found = examine(Image((tar_of([file_member(at, content), hard(linked_at, at)]),)))
    assert found.packages == ()
    (note,) = found.notes
    why = f"it is a link to {at}, which is damaged, or too large, or one of too many"
    assert note == f"{linked_at} was not read for packages: {why}"


def test_what_may_be_linked_takes_no_room_from_the_databases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyport_wf.image.examination.packages.catalogue.MAX_BYTES_ELSEWHERE", 2 * len(SIX))
    names = [f"cache/{number}/METADATA" for number in range(4)]
    links = [hard(f"site-packages/{number}.dist-info/METADATA", name) for number, name in enumerate(names)]
    files = [file_member(name, SIX) for name in names]
    found = examine(Image((tar_of([*files, *links, file_member("var/lib/dpkg/status", STATUS)]),)))
    assert [package.name for package in found.packages] == ["openssl", "six", "six"]
    assert [note.partition(" was")[0] for note in found.notes] == [
        f"site-packages/{number}.dist-info/METADATA" for number in (2, 3)
    ]


def test_no_more_links_are_followed_than_there_is_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyport_wf.image.examination.waste.MAX_LINKS", 1)
    links = [hard(f"site-packages/{number}.dist-info/METADATA", "cache/METADATA") for number in range(4)]
    found = examine(Image((tar_of([file_member("cache/METADATA", SIX), *links]),)))
    assert [package.name for package in found.packages] == ["six"]
    assert found.notes == ("3 more package databases are links, and were not read",)


def test_a_database_behind_a_link_that_was_not_read_is_told() -> None:
    files = [file_member("x", STATUS), link("var/lib/dpkg/status", "x", tarfile.LNKTYPE)]
    found = examine(Image((tar_of(files),)))
    assert found.packages == ()
    assert found.notes == (
        "var/lib/dpkg/status was not read for packages: it is a link to x, which is no name of a database",
    )


def test_nothing_is_said_of_bash_where_files_are_not_told() -> None:
    assert examine(Image((layer_tar({"a": b"", "b": b""}),)), max_paths=1).has_bash


def test_too_many_files_are_said_and_the_rest_is_told() -> None:
    layers = layer_tar({"var/lib/dpkg/status": b"Package: a\nVersion: 1\n"} | {f"{n}": b"1" for n in range(20)})
    found = examine(Image((layers, layer_tar({"x": b""}))), max_paths=10)
    assert (found.waste, found.packages) == (None, ())
    assert [layer.size for layer in found.contents.layers] == [len(layers), 10240]
    assert found.notes == ("waste and packages are unknown: its layers hold more than 10 files",)


def test_more_layers_than_any_engine_loads() -> None:
    found = examine(Image((layer_tar({"a": b""}),) * 501))
    assert found.waste is None
    assert found.notes == ("waste and packages are unknown: it has 501 layers, and no engine loads more than 127",)


@pytest.mark.slow
@pytest.mark.parametrize("max_paths", [10_000_000, 0])
def test_a_compression_bomb_in_a_layer(max_paths: int) -> None:
    bomb = tar_of([file_member("zeros", bytes(50_000_000))])
    archive = tar_of(oci(Image((layer_tar({"a": b""}), bomb)), compress=lambda data: gzip.compress(data, 9, mtime=0)))
    assert len(archive) < 100_000
    with (
        FileIndex(max_paths=max_paths) as index,
        pytest.raises(ArchiveError, match=r"unpacks to more than 0\.02 GB\. It is no image that anyone could load"),
    ):
        examine_archive(ChunkReader([archive]), index=index, max_unpacked=20_000_000)


@pytest.mark.slow
def test_an_archive_without_end() -> None:
    endless = itertools.chain([header("x/layer.tar", size=1 << 40), header("zeros", size=1 << 40)], zeros())
    with pytest.raises(ArchiveError, match="unpacks to more than 1 GB"):
        examine_archive(ChunkReader(endless), max_unpacked=1_000_000_000)


def header(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros() -> Iterator[bytes]:
    return itertools.repeat(bytes(1 << 20))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (file_member("../../etc/cron.d/x", b""), "names '../../etc/cron.d/x', a path outside of the image"),
        (member("x", tarfile.LNKTYPE, target="../../etc/shadow"), "names '../../etc/shadow', a path outside"),
    ],
)
def test_a_layer_that_leads_outside(bad: tuple[tarfile.TarInfo, bytes], problem: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        examine(Image((tar_of([bad]),)))
    assert problem in str(caught.value)
    assert str(caught.value).startswith("the archive: the layer '")


def test_a_layer_that_breaks_off_inside() -> None:
    with pytest.raises(ArchiveError, match="breaks off before its end"):
        examine(Image((header("f", size=5000) + b"short" + bytes(507),)))


def test_links_and_devices_are_only_names(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("precious")
    layer = tar_of(
        [
            member("a", tarfile.SYMTYPE, target=str(tmp_path)),
            file_member("a/precious", b"overwritten"),
            file_member(str(target), b"overwritten"),
            member("dev/sda", tarfile.BLKTYPE),
        ]
    )
    assert examine(Image((layer,))).files == (2,)
    assert target.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [target]


MILLION = """
import hashlib, json, resource, sys, tarfile
sys.path.insert(0, sys.argv[1])
from tests.support.docker_archives import file_member, manifest_of, sha256, tar_of
from skyport_wf.image.examination.examine import examine_archive
from skyport_wf.byte_streams import ChunkReader

FILES = int(sys.argv[2])
DATA = b"12345" + bytes(507)

def layer():
    for number in range(FILES):
        info = tarfile.TarInfo(f"folder{number % 1000}/{'x' * 60}/file{number}")
        info.size = 5
        yield info.tobuf(tarfile.GNU_FORMAT)
        yield DATA
    yield bytes(1024)

def archive():
    digest = hashlib.sha256()
    info, _ = file_member("a/layer.tar", b"")
    info.size = 1024 * FILES + 1024
    yield info.tobuf()
    for block in layer():
        digest.update(block)
        yield block
    yield tar_of([file_member("empty/layer.tar", tar_of([file_member(".wh.folder7", b"")]))])[:10240 + 512]
    upper = tar_of([file_member(".wh.folder7", b"")])
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{digest.hexdigest()}", f"sha256:{sha256(upper)}"]}}).encode()
    name = f"{sha256(config)}.json"
    manifest = manifest_of(name, ["a/layer.tar", "empty/layer.tar"])
    yield tar_of([file_member(name, config), file_member("manifest.json", manifest)])

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = examine_archive(ChunkReader(archive()))
assert found.files == (FILES, 0), found.files
assert found.waste is not None and found.waste.by_layer == (5 * FILES // 1000, 0)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
def test_hundreds_of_thousands_of_files_take_little_memory() -> None:
    command = [sys.executable, "-c", MILLION, str(CHECKOUT), "100000"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 50, "MB more than before"


def test_the_layers_of_an_engine_up_to_24_come_in_another_order() -> None:
    image = Image((layer_tar({"a": b"1234"}), layer_tar({".wh.a": b""}), layer_tar({"b": b""})))
    for author in "abcdefgh":
        turned = Image(image.layers, author=author)
        found = examine_archive(ChunkReader([tar_of(legacy(turned))]))
        assert found.waste is not None
        assert found.waste.by_layer == (4, 0, 0)
