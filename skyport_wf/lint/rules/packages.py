"""SKY01x: packages of apt and conda that are installed without saying which version."""

import re
from collections.abc import Iterable, Iterator, Mapping

from skyport_wf.image.variables import expand
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.lint.shell.grammar import SUBSTITUTED
from skyport_wf.lint.shell.invocations import Invocation, positional

APT_UNPINNED = Rule("SKY011", "warning", ("DL3008",))
APT_UNSEEN = Rule("SKY012", "info", ("DL3008",))
CONDA_UNPINNED = Rule("SKY013", "warning")
RULES = (APT_UNPINNED, APT_UNSEEN, CONDA_UNPINNED)

APT = frozenset({"apt-get", "apt", "aptitude"})
APT_WITH_VALUE = frozenset(
    {"-t", "--target-release", "--default-release", "-o", "--option", "-c", "--config-file", "-a",
     "--host-architecture", "-P", "--build-profiles", "--solver", "--planner", "--with-source", "-S", "--snapshot",
     "--comment", "--error-on", "--add-user-tag", "--add-user-tag-to", "--remove-user-tag",
     "--remove-user-tag-from"}
)  # fmt: skip
"""Their options that have a value."""
_CONDA_WITH_VALUE = frozenset(
    {"-n", "--name", "-p", "--prefix", "-c", "--channel", "-f", "--file", "-r", "--root-prefix", "--platform",
     "--subdir", "--solver", "--channel-priority", "--channel-alias", "--repodata-fn", "--clone", "--revision",
     "--experimental", "--shortcuts-only", "--console", "--environment-specifier", "--env-spec", "--relocate-prefix",
     "--rc-file", "--log-level", "--category", "--ssl-verify", "--cacert-path", "--local-repodata-ttl",
     "--repodata-ttl", "--safety-checks", "--trusted-channels", "--download-threads", "--extract-threads"}
)  # fmt: skip
"""Of conda, mamba, and micromamba."""
_SNAPSHOT_DATE = re.compile(r"(?<!\d)\d{8}T\d{6}Z(?!\w)")
"""A moment as the snapshot archives of Debian and Ubuntu, and apt's own `--snapshot`, write it."""
_EXACT = re.compile(r"[^\s<>!~=]+(?:\s*==?\s*|\s+)(?!\*(?:[\s=,]|$))[^\s<>!~=|,]+(?:[\s=,].*)?")
"""A package of conda's with a version that is neither any nor one of several: `a=1`, `a==1.2=build`, `a 1.2`."""
_VERSION_IN_BRACKETS = re.compile(r"""\bversion\s*=\s*(?:'([^']*)'|"([^"]*)"|([^],\s]*))""")
_FILE_IN_BRACKETS = re.compile(r"\b(?:md5|sha256|url|fn)\s*=")
_ALL = re.compile("--all|--update-all|-[qvy]*a[qvy]*")
"""The option of conda, mamba and micromamba for all packages of an environment."""
_CONSTRAINT = re.compile(r"[<>!~=\s[]")
_NAMES = re.compile(r"(?:\$\{[^{}]*\}|\S)+")
"""What blanks separate; those inside `${NAMES//,/ }` do not."""
_PLACEHOLDER = re.compile(r"[^\w$]+")
"""The word of `xargs -I`, such as `{}` or `%`."""
_MOST_SHOWN = 3


def has_snapshot_date(texts: Iterable[str]) -> bool:
    """Tell whether packages come from an archive as it was at some moment, by what is written in these texts."""
    return any(_SNAPSHOT_DATE.search(text) for text in texts)


def check_apt(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the calls of apt that take whatever version the archive has on that day.

    values: what is known of the variables.
    """
    for call in calls:
        if call.program not in APT:
            continue
        action, packages = _action_and_packages(call, APT_WITH_VALUE, values)
        if action in ("upgrade", "dist-upgrade", "full-upgrade", "safe-upgrade"):
            what = f"`{call.program} {action}` takes the newest version of every package"
            instead = "start from a newer base image, or install from a dated snapshot of the archive"
            yield APT_UNPINNED.at(call.line, f"{what}: each build finds others", instead)
        elif action not in ("install", "build-dep", "reinstall"):
            continue
        # What ends so is removed.
        elif free := [text for text in packages if not (text.startswith("$") or "=" in text or text.endswith("-"))]:
            first = free[0].partition("/")[0]
            instead = f"`{first}=VERSION` (`apt-cache policy {first}` in the base image tells it), or install from a"
            what = f"{_listed(free)} without a version: each build takes what the archive has on that day"
            yield APT_UNPINNED.at(call.line, what, f"{instead} dated snapshot of the archive")
        elif any(text.startswith("$") for text in packages):
            what = "which packages are installed stands elsewhere, so lint cannot tell whether each has a version"
            yield APT_UNSEEN.at(call.line, what, "`PACKAGE=VERSION` for each, there or here")


def check_conda(calls: Iterable[Invocation], values: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the calls of conda and its kind that name packages without an exact version.

    values: what is known of the variables.
    """
    for call in calls:
        if call.program not in ("conda", "mamba", "micromamba"):
            continue
        action, packages = _action_and_packages(call, _CONDA_WITH_VALUE, values)
        if action == "env" and packages[:1] == ["create"] and call.program != "conda":
            # That of conda takes no packages.
            action, *packages = packages
        free = [text for text in packages if not (text.startswith("$") or _is_exact(text))]
        if action in ("update", "upgrade") and (free or any(map(_ALL.fullmatch, call.texts))):
            what = f"`{call.program} {action}` takes the newest version of {_listed(free) or 'every package'}"
            instead = "start from a newer base image, or install `PACKAGE=VERSION`, better from a lock file"
            yield CONDA_UNPINNED.at(call.line, f"{what}: each build finds others", instead)
        elif action in ("install", "create") and free:
            instead = f"`{_CONSTRAINT.split(free[0])[0]}=VERSION`, better a lock file that has what they need, too"
            what = f"{_listed(free)} without an exact version: each build takes what the channel has on that day"
            yield CONDA_UNPINNED.at(call.line, what, instead)


def _is_exact(package: str) -> bool:
    """Return whether conda's name for a package says which one it is: a version, or the package's own file."""
    if package.partition("#")[0].endswith((".conda", ".tar.bz2")):
        return True
    name, _, brackets = package.partition("[")
    if version := _VERSION_IN_BRACKETS.search(brackets):
        name = f"{name} {version[1] or version[2] or version[3] or ''}"
    return _EXACT.fullmatch(name.strip()) is not None or _FILE_IN_BRACKETS.search(brackets) is not None


def _action_and_packages(
    call: Invocation, with_value: frozenset[str], values: Mapping[str, str]
) -> tuple[str, list[str]]:
    """Return what a package manager is to do, and with which packages, but for files that are there already.

    with_value: the options that take the next word as their value.
    A name that still begins with `$` comes from a variable or a program: only the run can tell what it is.
    """
    action, *words = [word.text for word in positional(call.arguments, with_value)] or [""]
    names: list[str] = []
    for word in words:
        text = expand(word, values, unknown=True)
        # A variable may hold several packages. A blank before it stands in quotes, as in `numpy 1.26` of conda.
        names += [text.strip()] if re.search(r"\s", word.partition("$")[0]) else _NAMES.findall(text)
    if "xargs" in call.wrapped:
        # What it reads stands there, or behind all words.
        names = [SUBSTITUTED if _PLACEHOLDER.fullmatch(name) else name for name in names]
        names += [] if SUBSTITUTED in names else [SUBSTITUTED]
    files = ("./", "/", "../")
    return action, [name for name in names if name and not name.endswith(".deb") and not name.startswith(files)]


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_MOST_SHOWN])
    more = len(names) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
