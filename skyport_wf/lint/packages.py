"""Packages that are installed, and whether it is said which version."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from skyport_wf.image.dockerfile import expand
from skyport_wf.lint.findings import Finding
from skyport_wf.lint.invocations import Invocation, positional
from skyport_wf.lint.rules import APT_UNPINNED, APT_UNSEEN, CONDA_UNPINNED
from skyport_wf.lint.shell import Word

_APT_WITH_VALUE = frozenset(
    {"-t", "--target-release", "-o", "--option", "-c", "--config-file", "-a", "-S", "--snapshot"}
)
_CONDA_WITH_VALUE = frozenset(
    {"-n", "--name", "-p", "--prefix", "-c", "--channel", "-f", "--file", "-r", "--root-prefix", "--platform"}
)
_SNAPSHOT_DATE = re.compile(r"(?<!\d)\d{8}T\d{6}Z(?!\w)")
"""How the snapshot archives of Debian and Ubuntu, and apt's own `--snapshot`, write the moment that is asked for."""
_EXACT = re.compile(r"[^<>!~=]==?[^=]")
_CONSTRAINT = re.compile("[<>!~=]")
_A_FEW = 3


def has_snapshot_date(texts: Iterable[str]) -> bool:
    """Tell whether packages come from an archive as it was at some moment, by what is written in these texts."""
    return any(_SNAPSHOT_DATE.search(text) for text in texts)


def check_apt(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the calls of apt that take whatever version the archive has on that day.

    values: what is known of the variables.
    """
    for call in calls:
        if call.program not in ("apt-get", "apt", "aptitude"):
            continue
        action, *packages = positional(call.arguments, _APT_WITH_VALUE) or [Word("")]
        if action.text in ("upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade"):
            what = f"`{call.program} {action.text}` takes the newest version of every package"
            instead = "start from a newer base image, or install from a dated snapshot of the archive"
            yield APT_UNPINNED.at(call.line, f"{what}: each build finds others", instead)
        elif action.text in ("install", "build-dep", "reinstall"):
            yield from _check_apt_packages(call.line, _texts(packages, values))


def _check_apt_packages(line: int, packages: Sequence[str]) -> Iterator[Finding]:
    free = [text for text in packages if not (_is_unseen(text) or "=" in text or _is_file(text))]
    if free:
        first = free[0].partition("/")[0]
        instead = f"`{first}=VERSION` (`apt-cache policy {first}` in the base image tells it), or install from a dated"
        what = f"{_listed(free)} without a version: each build takes what the archive has on that day"
        yield APT_UNPINNED.at(line, what, f"{instead} snapshot of the archive")
    elif any(map(_is_unseen, packages)):
        what = "which packages are installed stands elsewhere, so lint cannot tell whether each has a version"
        yield APT_UNSEEN.at(line, what, "`PACKAGE=VERSION` for each, there or here")


def check_conda(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the calls of conda and its kind that name packages without an exact version.

    values: what is known of the variables.
    """
    for call in calls:
        if call.program not in ("conda", "mamba", "micromamba"):
            continue
        action, *packages = positional(call.arguments, _CONDA_WITH_VALUE) or [Word("")]
        if action.text in ("install", "create"):
            yield from _check_conda_packages(call.line, _texts(packages, values))


def _check_conda_packages(line: int, packages: Sequence[str]) -> Iterator[Finding]:
    free = [text for text in packages if not (_is_unseen(text) or _EXACT.search(text) or _is_file(text))]
    if free:
        instead = f"`{_CONSTRAINT.split(free[0])[0]}=VERSION`, better a lock file that has what they need, too"
        what = f"{_listed(free)} without an exact version: each build takes what the channel has on that day"
        yield CONDA_UNPINNED.at(line, what, instead)


def _texts(packages: Iterable[Word], values: Mapping[str, str]) -> list[str]:
    """Return the names of the packages; a variable may hold several."""
    return [text for word in packages for text in expand(word.text, values, unknown=True).split()]


def _is_unseen(text: str) -> bool:
    """Tell whether this comes from a variable or a program, so that only the run can tell what it is."""
    return text.startswith("$")


def _is_file(text: str) -> bool:
    """Tell whether this is a file that is there already: what is in it does not change by itself."""
    return text.endswith(".deb") or text.startswith(("./", "/", "../"))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_A_FEW])
    more = len(names) - _A_FEW
    return f"{shown} and {more} more" if more > 0 else shown
