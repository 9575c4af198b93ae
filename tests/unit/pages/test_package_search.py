"""The search for packages on the pages answers as `find --package` does."""

import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image.examination.packages.package import Package
from skyport_wf.image.examination.packages.versions import judge
from skyport_wf.inspection.find import has_name, parse_wanted
from skyport_wf.pages.entries import ImageEntry
from skyport_wf.pages.findings import Findings
from skyport_wf.pages.package_search import PackageIndex, PackageUse, VersionUse, index_packages

VERSIONS = ("1.0~RC1-1", "1.0~RC2-1", "1.0a-1", "3.0", "1:1.2")
INDEX = PackageIndex(
    (PackageUse(Package("deb", "Tool", "3.0"), tuple(VersionUse(version, ()) for version in VERSIONS)),), 1
)


@pytest.mark.parametrize(
    ("text", "fitting"),
    [
        ("tool", VERSIONS),
        ("tool =1.0~RC1-1", VERSIONS[:1]),
        ("TOOL =1.0~RC*", VERSIONS[:2]),
        ("tool <1.0~RC2-1", VERSIONS[:1]),
        ("tool<3", VERSIONS[:3]),
        ("tool < 3", VERSIONS[:3]),
        ("tool >=1.0~RC2, <3", VERSIONS[1:3]),
        ("tool >=1.0~RC2 <3", VERSIONS[1:3]),
        ("tool >1:1", VERSIONS[4:]),
    ],
)
def test_conditions_are_those_of_find(text: str, fitting: tuple[str, ...]) -> None:
    found = INDEX.search(text).uses
    assert tuple(version.version for use in found for version in use.versions) == fitting
    wanted = parse_wanted([text])
    assert tuple(one for one in VERSIONS if judge(Package("deb", "Tool", one), wanted.bounds)[0]) == fitting


@pytest.mark.parametrize(
    "text",
    [
        *("tool >=3.*", "tool <", "tool <3 other", "tool <3,", "<3"),
        *("tool ~=1.2", "tool~=1.2", "tool (>= 1)", "tool(<2)", "tool, <3", "tool, other"),
    ],
)
def test_what_is_no_question_is_refused_alike(text: str) -> None:
    with pytest.raises(UsageError) as by_find:
        parse_wanted([text])
    with pytest.raises(UsageError) as by_page:
        INDEX.search(text)
    assert str(by_page.value) == str(by_find.value)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("tool >1:1,<2", "Tool 1:1.2 has an epoch, so it is newer than any version without one; to compare with it, "
         "write <1:2."),
        ("tool <abc", "abc is no version of the kind deb, so none of that kind is compared with it."),
    ],
)  # fmt: skip
def test_why_a_version_is_left_out_is_said(text: str, notes: str) -> None:
    assert INDEX.search(text).notes == (notes,)


def index_of(*packages: Package) -> PackageIndex:
    """Return the index of images `lab/0:1`, `lab/1:1` and so on, of which each has one of the packages."""
    return index_packages(
        (ImageEntry(name, name, "1", "published", 1, "", "", is_private=False), Findings("", (package,)))
        for name, package in ((f"lab/{number}", package) for number, package in enumerate(packages))
    )


@pytest.mark.parametrize("text", ["importlib-metadata", "Importlib_Metadata", "importlib.metadata"])
def test_a_package_of_python_is_one_in_all_spellings(text: str) -> None:
    index = index_of(
        Package("pypi", "importlib-metadata", "6.0"),
        Package("pypi", "Importlib_Metadata", "6.0"),
        Package("pypi", "importlib-x-importlib.metadata", "7.0"),
        Package("pypi", "a-importlib-metadata", "8.0"),
    )
    found = index.search(text).uses
    assert [[image.name for version in use.versions for image in version.images] for use in found] == [
        ["lab/0:1", "lab/1:1"], ["lab/3:1"], ["lab/2:1"]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["lib*", "*ssl*", "openss?", "[Ll]ibssl3", "Import*data", "*", "zlib*", "bioc*", "tool*<2"]
)
def test_patterns_are_those_of_find(text: str) -> None:
    packages = [
        Package("deb", "libssl3", "3.0", source="openssl"),
        Package("pypi", "importlib_metadata", "6.0"),
        Package("deb", "tool", "1.0"),
        Package("conda", "blast", "1.0", source="bioconda"),
    ]
    wanted = parse_wanted([text])
    fitting = [one.name for one in packages if has_name(one, wanted.name) and judge(one, wanted.bounds)[0]]
    assert sorted(use.name for use in index_of(*packages).search(text).uses) == sorted(fitting)


def test_of_other_kinds_each_spelling_is_a_package() -> None:
    index = index_of(Package("deb", "foo-bar", "1"), Package("deb", "foo.bar", "1"))
    assert [use.name for use in index.search("foo-bar").uses] == ["foo-bar"]


@pytest.mark.parametrize(
    ("text", "images"),
    [("gcc-10", ["lab/0"]), ("gcc-12", ["lab/1"]), ("gcc-1*", ["lab/0", "lab/1"]), ("libgcc", ["lab/0", "lab/1"])],
)
def test_a_package_may_have_another_source_in_another_image(text: str, images: list[str]) -> None:
    index = index_of(
        Package("deb", "libgcc-s1", "10.2.1-6", source="gcc-10"),
        Package("deb", "libgcc-s1", "12.2.0-14", source="gcc-12"),
    )
    (found,) = index.search(text).uses
    assert [image.repository for version in found.versions for image in version.images] == images
