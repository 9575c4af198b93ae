"""The locks of the development environment fit pyproject.toml, and name no index."""

import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.commands import CHECKOUT

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
BUILD = CHECKOUT / ".ci/locks/build.txt"
DEVELOPMENT = CHECKOUT / ".ci/locks/development.txt"
SLURM = CHECKOUT / ".ci/locks/slurm.txt"


def locked(path: Path) -> list[tuple[Requirement, list[str]]]:
    """Return the packages of a lock, each with its hashes."""
    lines = re.sub(r" \\\n", " ", path.read_text()).splitlines()
    entries = [line.partition(" --hash=") for line in lines if line and not line.lstrip().startswith("#")]
    return [(Requirement(entry), hashes.split(" --hash=")) for entry, _, hashes in entries]


@pytest.mark.parametrize("path", [BUILD, DEVELOPMENT, SLURM], ids=lambda path: path.name)
def test_every_entry_has_one_version_and_its_hashes(path: Path) -> None:
    packages = locked(path)
    assert packages
    for package, hashes in packages:
        assert re.fullmatch(r"==[^*,]+", str(package.specifier)), package
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64} *", each) for each in hashes), (package, hashes)


@pytest.mark.parametrize("path", [BUILD, DEVELOPMENT, SLURM], ids=lambda path: path.name)
def test_no_index_is_named(path: Path) -> None:
    text = path.read_text()
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")], "an option of pip"


@pytest.mark.parametrize(
    ("paths", "requirements"),
    [
        # Both are installed before the project is built.
        ([BUILD, DEVELOPMENT], PROJECT["build-system"]["requires"]),
        ([BUILD], PROJECT["dependency-groups"]["build"]),
        ([SLURM], PROJECT["dependency-groups"]["slurm"]),
        ([DEVELOPMENT], PROJECT["project"]["dependencies"]),
        ([DEVELOPMENT], PROJECT["project"]["optional-dependencies"]["dev"]),
    ],
    ids=["build system", "build group", "slurm group", "dependencies", "dev extra"],
)
def test_what_is_locked_is_in_the_ranges(paths: Sequence[Path], requirements: Iterable[str]) -> None:
    versions = {canonicalize_name(package.name): package for path in paths for package, _ in locked(path)}
    for requirement in map(Requirement, requirements):
        package = versions.get(canonicalize_name(requirement.name))
        assert package, f"{requirement.name} is not in {[path.name for path in paths]}: make lock LOCK_ARGS="
        (pin,) = package.specifier
        assert requirement.specifier.contains(pin.version), f"{requirement} is locked as {package}: make lock"


def test_a_package_of_both_locks_has_one_version() -> None:
    builds, development = (
        {package.name: package.specifier for package, _ in locked(it)} for it in (BUILD, DEVELOPMENT)
    )
    both = builds.keys() & development.keys()
    assert {name: builds[name] for name in both} == {name: development[name] for name in both}
