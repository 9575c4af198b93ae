"""The settings of the rules: a module's own config, or what is below `skyport` in the config of a pipeline."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import msgspec

from skyport_wf.decoding import convert
from skyport_wf.errors import UsageError
from skyport_wf.image_list.conversion import in_yaml_words
from skyport_wf.image_list.place import DEFAULT_LIST, find_image_list, lock_beside
from skyport_wf.near_words import near_words
from skyport_wf.pipelines.checks import find_misread
from skyport_wf.pipelines.places import PATHVARS
from skyport_wf.pipelines.shipped import find_shipped

SECTION = "skyport"
"""The only key of a pipeline's config that included rules look at."""
LintLevel = Literal["error", "warning", "info", "style", "none"]
Steps = Literal["each", "stream"]
_WANTED = {"images": "a file or a folder", "conda": "a file, a name, true or false"}
"""What settings take, in words."""
_TRUTHS = {
    spelling: truth
    for truth, words in {True: ("true", "yes", "on"), False: ("false", "no", "off")}.items()
    for word in words
    for spelling in (word, word.capitalize(), word.upper())
}
"""As YAML has them in a config file, for Snakemake."""
_NOTHING = ("null", "Null", "NULL", "~", "None")


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a pipeline wants its images published."""

    images: str | None = None
    """The image list, or the folder that it is in; images.yaml if None."""
    lock: str | None = None
    """The lock file; beside the list if None."""
    lint_level: LintLevel | None = None
    """From which level on findings fail the rules of lint.smk."""
    conda: bool | str | None = False
    """The conda environment of the rules: a file, the name of one that is there, or true for the one that the package
    brings; without, the command in PATH is called."""
    steps: Steps = "each"
    """Whether each step of publishing is a job, or all of them are one."""
    cluster: bool = False
    """Whether upload, registering and the package list of an image may go to a cluster, as one group of jobs."""
    pathvars: dict[str, str] = {}
    """Snakemake's own, which reads them in the config of a module: where results, logs and benchmarks go."""

    @property
    def list_file(self) -> str:
        """The path of the image list, which is found as the command line finds it."""
        return str(find_image_list(DEFAULT_LIST if self.images is None else Path(self.images)))

    @property
    def lock_file(self) -> str:
        """The path of the lock file."""
        return str(Path(self.lock) if self.lock else lock_beside(Path(self.list_file)))

    @property
    def environment(self) -> str | None:
        """The conda environment of the rules, a file if it is absolute; None for none."""
        if not self.conda:
            return None
        if self.conda is True:
            return str(find_shipped("workflows/envs/skyport-wf.yaml"))
        # Snakemake would look for a file beside the rules, and not where the pipeline is.
        return str(Path(self.conda).absolute()) if Path(self.conda).suffix in (".yaml", ".yml") else self.conda

    @property
    def streams(self) -> bool:
        """Whether an image is published by one job."""
        return self.steps == "stream"

    @property
    def is_local(self) -> bool:
        """Whether all steps run where Snakemake runs."""
        return not self.cluster

    @property
    def group(self) -> str | None:
        """The group of jobs that goes to a cluster as one; None if all are local."""
        return "skyport" if self.cluster else None

    @property
    def level_option(self) -> list[str]:
        """The option of the level from which on findings fail the check."""
        return ["--level", self.lint_level] if self.lint_level else []


def read_settings(config: Mapping[str, Any], *, whole: bool) -> RuleSettings:
    """Return the settings in a config.

    whole: whether the config is the rules' own, and not that of a pipeline that has other things in it, too.
    Raises UsageError, with the names there are, for a setting that is none or makes no sense.
    """
    below = not whole or (isinstance(config, Mapping) and SECTION in config)
    given = _untext(config.get(SECTION), Mapping | None) if below else config
    names = tuple(name for name in RuleSettings.__struct_fields__ if name != "pathvars" or not below)
    where = f"config, below `{SECTION}`" if below else "config of the skyport-wf module"
    if given is None:
        return RuleSettings()
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}: there is {given!r}, and settings are expected: {', '.join(names)}.")
    if below and "pathvars" in given:
        raise UsageError(
            f"{where}: Snakemake does not read `pathvars` there. Write `pathvars:` in the Snakefile, above the rules."
        )
    for key in given:
        if key not in names:
            raise UsageError(f"{where}: there is no setting `{key}`{_meant(str(key), names)}")
    kinds = get_type_hints(RuleSettings)
    plain = {key: _untext(value, kinds[key]) for key, value in given.items()}
    try:
        settings = convert(plain, RuleSettings)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {_in_words(error, plain)}") from error
    for name in settings.pathvars:
        # Those of other names may be parts of these.
        if name not in PATHVARS and not any(f"<{name}>" in value for value in settings.pathvars.values()):
            raise UsageError(f"{where}: no rule has the pathvar `{name}`{_meant(name, PATHVARS)}")
    for name in ("images", "conda"):
        if getattr(settings, name) == "":
            raise UsageError(f"{where}: `{name}` is ''. Give {_WANTED[name]}, or leave it out.")
    # Where the lock file is can only be told of a list that has a name which files can have.
    for name in ("images", "lock", "lock_file"):
        path = getattr(settings, name)
        if path is not None and (misread := find_misread(path, is_argument=True)):
            raise UsageError(f"{where}: `{name.removesuffix('_file')}` is {path!r}. Name a file without {misread}.")
    return settings


def _untext(value: object, kind: Any) -> object:
    """Return the true, false or nothing that a text stands for, if the type of its setting has that.

    Below the top of a config, Snakemake makes texts of all values of `--config`, as they are written there, and of
    those of a profile, as Python writes them. Other values are returned as they are, a path as text.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    kinds = (kind, *get_args(kind))
    if isinstance(value, str) and value in _NOTHING and type(None) in kinds:
        return None
    return _TRUTHS.get(value, value) if isinstance(value, str) and bool in kinds else value


def _meant(word: str, names: Sequence[str]) -> str:
    """Return the rest of the sentence about a word that is none of these."""
    near = near_words(word, names)
    return f"{f'; did you mean `{near[0]}`?' if near else '.'} There are: {', '.join(names)}."


def _in_words(error: msgspec.ValidationError, given: Mapping[str, Any]) -> str:
    problem, _, path = str(error).partition(" - at `$.")
    name = path.removesuffix("`").partition(".")[0].partition("[")[0]
    choices = get_args({"lint_level": LintLevel, "steps": Steps}.get(name))
    if choices:
        found = "it has no value" if given[name] is None else f"there is no {given[name]!r}"
        return f"`{name}`: {found}; it takes {', '.join(choices)}."
    return f"`{name}`: {in_yaml_words(problem).replace('`bool | str`', _WANTED['conda'])}."
