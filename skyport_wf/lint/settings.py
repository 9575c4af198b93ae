"""What hadolint's own settings file says of rules: it counts for ours too."""

import msgspec

from skyport_wf.errors import UsageError
from skyport_wf.image_list.yaml_document import parse_yaml
from skyport_wf.lint.findings import Finding, Level, Threshold
from skyport_wf.lint.pragmas import is_named


class Override(msgspec.Struct, frozen=True):
    """Rules by the level that they are to have."""

    error: tuple[str, ...] = ()
    warning: tuple[str, ...] = ()
    info: tuple[str, ...] = ()
    style: tuple[str, ...] = ()


class LintSettings(msgspec.Struct, frozen=True, rename="kebab"):
    """A `.hadolint.yaml`, as far as it says something of our rules too; hadolint reads the rest itself."""

    ignored: tuple[str, ...] = ()
    override: Override = Override()
    failure_threshold: Threshold | None = None
    disable_ignore_pragma: bool = False

    def level_of(self, finding: Finding) -> Level:
        """Return the level that the finding is to have."""
        levels: tuple[tuple[Level, tuple[str, ...]], ...] = (
            ("error", self.override.error), ("warning", self.override.warning), ("info", self.override.info),
            ("style", self.override.style),
        )  # fmt: skip
        return next((level for level, codes in levels if is_named(finding, codes)), finding.level)


def parse_settings(text: str, *, name: str) -> LintSettings:
    """Return what the settings file says. Raises UsageError if it is wrong.

    name: what messages call it.
    """
    if not text.strip():
        return LintSettings()
    document = parse_yaml(text, name=name)
    value = document.value
    if isinstance(value, dict) and value.get("failure-threshold") == "ignore":
        # hadolint's other word for it.
        value = {**value, "failure-threshold": "none"}
    try:
        return msgspec.convert(value or {}, LintSettings)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `")
        line = document.line_of(path.rstrip("`") or "$")
        raise UsageError(
            f"{name}, line {line}: {problem[:1].lower()}{problem[1:]}. Mend hadolint's settings."
        ) from error
