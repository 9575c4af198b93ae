"""Versions are compared as the packaging system that they are of does."""

import re
import shutil
import subprocess

import pytest

from skyport_wf.errors import UsageError
from skyport_wf.image.examination.packages.package import Package, PackageKind
from skyport_wf.image.examination.packages.versions import compare, judge, parse_bounds


@pytest.mark.parametrize(
    ("kind", "in_order"),
    [
        ("deb", "1.0~rc1-1 1.0-1 1.0-1+b1 1.0.1 1.1.1n-0+deb11u5 1.9 1.10 3.0.11-1~deb12u2 3.0.11-1 1:0.1"),
        (
            "apk",
            "1.2.3_alpha1-r0 1.2.3_rc1-r0 1.2.3-r0 1.2.3-r5 1.2.3-r15 1.2.3_git20230717-r0 1.2.3a-r0 1.10-r0 3.0.12-r4",
        ),
        ("rpm", "1.0~rc1-1.el9 1.0-1.el9 1.0^git1-1.el9 1.9-1.el9 1.10-60.el9 1.10-100.el9_2.7 1:0.9-1.el8"),
        ("pypi", "1.0.dev1 1.0a1 1.0rc1 1.0 1.0.post1 1.0.1 1.10 1!0.1"),
        ("conda", "1.0rc1=0 1.9=py310_0 1.10=h1234_2 2024.2.2=0"),
        ("conda", "0.9 1.0.2dev1 1.0.2_ 1.0.2a=h1_0 1.0.2k=h1_0 1.0.2zz 1.0.2 1.0.2.post1 1.0.2.1 9e 9f 2022a 1!0.1"),
        ("cran", "0.9-9 0.10 1.2 1.2-0 1.2-3 1.10-1"),
        ("bioconductor", "1.2.0 1.46.1 2.0.0"),
    ],
)
def test_the_order(kind: PackageKind, in_order: str) -> None:
    versions = in_order.split()
    for at, older in enumerate(versions):
        assert compare(kind, older, older) == 0
        for newer in versions[at + 1 :]:
            assert (compare(kind, older, newer), compare(kind, newer, older)) == (-1, 1), (older, newer)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("dpkg"), reason="no dpkg here to compare with")
def test_dpkg_says_the_same() -> None:
    versions = (
        *("1", "1.0", "1.0-0", "1.0a", "1.0+b", "1.0~", "1.0~~a", "1.0-1~bpo11+1"),
        *("2:1.0", "1.0.0", "1.01", "9", "10", "1.0-a", "1.0-A"),
    )
    for one in versions:
        for other in versions:
            older = subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode == 0
            assert (compare("deb", one, other) < 0) == older, (one, other)


def holds(kind: PackageKind, version: str, text: str) -> bool:
    return all(bound.holds(Package(kind, "openssl", version)) for bound in parse_bounds(text))


@pytest.mark.parametrize(
    ("kind", "version", "text", "expected"),
    [
        ("deb", "1.1.1n-0+deb11u5", "<3", True),
        ("deb", "3.0.11-1~deb12u2", "<3", False),
        ("deb", "3.0.11-1~deb12u2", ">=3,<3.0.11-1", True),
        ("deb", "1:1.1", "<3", False),
        ("deb", "1:1.1", "<1:3", True),
        ("deb", "3.0.11-1", ">=3 , <4", True),
        ("deb", "3.0.11-1", "> 3 < 3.0.11-1", False),
        ("deb", "1.1.1n-0+deb11u5", "=1.1*", True),
        ("deb", "1.1.1n-0+deb11u5", "!=1.1*", False),
        ("apk", "3.1.4-r5", "==3.1.4-r5", True),
        # As rpm does, the release counts where it is asked for.
        ("rpm", "3.0.7-24.el9", "=3.0.7", True),
        ("rpm", "3.0.7-24.el9", "<3.0.7-25.el9", True),
        ("pypi", "1.0", "= 1.0.0", True),
        # As pip does, the local label counts where it is asked for.
        ("pypi", "2.1.0+cu118", "==2.1.0", True),
        ("pypi", "2.1.0+cu118", "<=2.1.0", True),
        ("pypi", "2.1.0+cu118", ">2.1.0", False),
        ("pypi", "2.1.0+cu118", "!=2.1.0", False),
        ("pypi", "2.1.0+cu118", "=2.1.0+cu118", True),
        ("pypi", "2.1.0+cu118", "=2.1.0+cpu", False),
        ("pypi", "2.1.0", "=2.1.0+cu118", False),
        # No Python version would be so.
        ("conda", "1.1.1w=hd590300_0", ">=1.1.1a,<1.1.1z", True),
        ("conda", "2.0_rc-1+local.2=0", "=2.0.rc.1+LOCAL.2.0", True),
    ],
)
def test_conditions(kind: PackageKind, version: str, text: str, expected: bool) -> None:
    assert holds(kind, version, text) == expected


@pytest.mark.parametrize("text", ["", "3", "<", "<>3", "<3,", "~3", "<3 4", "=>3", "< =3", ">=3.*", "<1.?"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(UsageError, match="is no condition for a version"):
        parse_bounds(text)


@pytest.mark.parametrize(("kind", "version"), [("pypi", "2004d"), ("cran", "1.x"), ("apk", "latest"), ("deb", "a b")])
def test_what_is_no_version(kind: PackageKind, version: str) -> None:
    with pytest.raises(ValueError, match=r"version|literal"):
        holds(kind, version, "<3")


@pytest.mark.parametrize(
    ("kind", "version", "text", "note"),
    [
        ("deb", "3.0", "<3", ""),
        ("deb", "1:1.2", ">=1:1,<3", "openssl 1:1.2 has an epoch, .* write '<1:3'$"),
        ("deb", "1:1.2-3", "=1:1.2", "openssl 1:1.2-3 is 1:1.2 with a revision .* write '=1:1.2-\\*'$"),
        ("apk", "3.3.1-r1", "=3.3.1", "openssl 3.3.1-r1 is 3.3.1 with a revision .* write '=3.3.1-\\*'$"),
        ("deb", "1.2-3", "=1.2,<1", "^$"),
        ("deb", "1.2-3", "=1.2-2", "^$"),
        ("deb", "1.2-3", "!=1.2-3", "^$"),
        ("deb", "1:1.2", ">=1,<3", ".* write '<1:3'$"),
        ("deb", "1:1.2", "<3,=1.2", ".* write '<1:3,=1:1.2'$"),
        # With an epoch it would not fit either.
        ("deb", "1:1.2", ">1:3,<3", ""),
        ("deb", "1.1", "<abc", "abc is no version of the kind deb, so none of that kind is compared with it$"),
        ("deb", "1.1", ">=1,<1:", "1: is no version of the kind deb, "),
        ("pypi", "2004d", "!=1.*,<3", "openssl 2004d: no version of the kind pypi, so not compared$"),
    ],
)
def test_why_a_version_does_not_fit(kind: PackageKind, version: str, text: str, note: str) -> None:
    fits, told = judge(Package(kind, "openssl", version), parse_bounds(text))
    assert not fits
    assert re.match(note, told) if note else told == ""
