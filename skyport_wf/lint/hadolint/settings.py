"""hadolint's settings file, which counts for our rules too."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from skyport_wf.decoding import convert
from skyport_wf.errors import UsageError
from skyport_wf.image_list.conversion import in_yaml_words
from skyport_wf.image_list.yaml_document import decode_yaml, parse_yaml
from skyport_wf.input_file import is_file, read_bounded
from skyport_wf.lint.findings import Finding, Level, Threshold
from skyport_wf.user_folders import home_folder

_LARGEST = 1 << 20
_TRUSTED = "HADOLINT_TRUSTED_REGISTRIES"
"""Names more of them, between commas."""


class Override(msgspec.Struct, frozen=True):
    """Rules by the level that they are to have."""

    error: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    info: tuple[str, ...] = ()
    style: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """All rules that are named."""
        return (*self.error, *self.warning, *self.info, *self.style)


class LintSettings(msgspec.Struct, frozen=True, rename="kebab"):
    """The settings that concern our rules too; hadolint reads the file, and the others, itself."""

    ignored: tuple[str, ...] = ()
    override: Override = Override()
    failure_threshold: Threshold | None = None
    disable_ignore_pragma: bool = False
    trusted_registries: tuple[str, ...] = msgspec.field(name="trustedRegistries", default=())

    @property
    def all_trusted_registries(self) -> tuple[str, ...]:
        """The registries that a `FROM` may name, those of the environment included."""
        return (*self.trusted_registries, *filter(None, os.environ.get(_TRUSTED, "").split(",")))

    def level_of(self, finding: Finding) -> Level:
        """Return the level that the finding is to have."""
        levels: tuple[tuple[Level, tuple[str, ...]], ...] = (
            ("error", self.override.error), ("warning", self.override.warning), ("info", self.override.info),
            ("style", self.override.style),
        )  # fmt: skip
        return next((level for level, codes in levels if finding.is_named_in(codes)), finding.level)


def find_settings() -> Path | None:
    """Return the settings file that hadolint finds from the current folder, None if there is none."""
    return next(filter(is_file, _places()), None)


def _places() -> Iterator[Path]:
    """Yield where hadolint looks, in its order."""
    home, named = home_folder(), os.environ.get("XDG_CONFIG_HOME")
    configured = Path(named) if named else home and home / ".config"
    below_home = (".config/hadolint", ".hadolint/hadolint", "hadolint/config", ".hadolint")
    for stem in (
        Path(".hadolint"), *([configured / "hadolint"] if configured else []),
        *([home / place for place in below_home] if home else []),
    ):  # fmt: skip
        yield from (stem.with_name(stem.name + ending) for ending in (".yaml", ".yml"))


def read_settings(path: Path) -> LintSettings:
    """Return what the settings file says. Raises UsageError if it cannot be read or is wrong."""
    try:
        text = decode_yaml(read_bounded(path, _LARGEST), name=str(path))
    except OSError as error:
        raise UsageError(f"cannot read hadolint's settings {path}: {error.strerror}") from error
    if all(line.lstrip()[:1] in ("", "#") for line in text.splitlines()):
        return LintSettings()
    document = parse_yaml(text, name=str(path), kind="a settings file")
    value = document.value
    if isinstance(value, dict) and value.get("failure-threshold") == "ignore":
        # hadolint's other word for it.
        value = {**value, "failure-threshold": "none"}
    try:
        return convert(value or {}, LintSettings)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `")
        line = document.line_of(where.rstrip("`") or "$")
        raise UsageError(f"{path}, line {line}: {in_yaml_words(problem)}. Mend hadolint's settings.") from error
