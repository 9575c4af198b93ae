"""SKY076: build secrets and SSH agents that a `RUN` mounts, and that the image list does not have."""

from collections.abc import Collection, Iterator

from skyport_wf.image.dockerfile import mounted_secret
from skyport_wf.image.instructions import Instruction, read_options
from skyport_wf.lint.findings import Finding, Rule
from skyport_wf.near_words import near_words

NOT_GIVEN = Rule("SKY076", "warning")
RULES = (NOT_GIVEN,)


def check_secrets(found: Instruction, secrets: Collection[str], agents: Collection[str]) -> Iterator[Finding]:
    """Yield what a `RUN` mounts and the build does not get: a builder passes over it without a word.

    secrets: those that the image list has for this image.
    agents: the same of SSH agents.
    """
    for offset, option in read_options(found.value)[0].items():
        kind, name = mounted_secret(option)
        given = agents if kind == "ssh" else secrets
        if not name or "$" in name or name in given:
            continue
        what = "SSH agent" if kind == "ssh" else "build secret"
        near = near_words(name, given)
        instead = f"`{near[0]}`, if that is meant; or " if near else ""
        entry = f"`ssh: [{name}]`" if kind == "ssh" else f"`secrets: {{{name}: {{file: FILE}}}}`"
        why = f"the image list has no {what} `{name}` for this image: the step runs without it, and may not fail"
        yield NOT_GIVEN.at(found.line_at(offset), why, f"{instead}{entry} in the image list")
