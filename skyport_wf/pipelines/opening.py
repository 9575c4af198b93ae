"""Opening an image list for the rules: once for each module or pipeline that includes them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skyport_wf.errors import SkyportError, UsageError
from skyport_wf.pipelines.mistakes import heard, suggest
from skyport_wf.pipelines.places import PathModifier, Places
from skyport_wf.pipelines.rules import ImageRules
from skyport_wf.pipelines.settings import RuleSettings, read_settings
from skyport_wf.pipelines.shipped import comes_with
from skyport_wf.pipelines.use_rule import module_of


class _Opened:
    """The lists of the workflow that this process parses. Snakemake hands functions of a Snakefile no workflow."""

    workflow: Any = None
    lists: list[ImageRules] = []  # noqa: RUF012 - the process has one


def open_rules(workflow: Any, config: Mapping[str, Any]) -> ImageRules:
    """Return the images of a list, for the rule file that is being parsed.

    workflow, config: as Snakemake's language has them.
    Raises WorkflowError, in one sentence, for whatever is wrong with the settings or the list.
    """
    return _open(workflow, config, ImageRules)


def open_lock(workflow: Any, config: Mapping[str, Any]) -> ImageRules:
    """Return the images of a lock file, for the rule file that is being parsed. Otherwise as `open_rules`."""
    from skyport_wf.pipelines.locked import LockedRules

    return _open(workflow, config, LockedRules)


def _open(workflow: Any, config: Mapping[str, Any], kind: type[ImageRules]) -> ImageRules:
    from snakemake_interface_common.exceptions import WorkflowError

    if workflow is not _Opened.workflow:
        _Opened.workflow, _Opened.lists = workflow, []
    if not shutil.which("skyport-wf"):
        # Snakemake was called by its path, its environment is not activated: the command lies beside its Python.
        os.environ.update(PATH=os.pathsep.join([*os.get_exec_path(), str(Path(sys.executable).parent)]))
    statement = workflow.modifier
    opened = next((rules for rules in _Opened.lists if type(rules) is kind and rules.statement is statement), None)
    if opened is None:
        try:
            with heard():
                settings = read_settings(config, whole=_are_the_workflow(workflow))
                opened = _find_opened(kind, settings, workflow) or kind(settings, workflow, _Opened.lists)
        except SkyportError as error:
            raise WorkflowError(str(error)) from None
        if opened not in _Opened.lists:
            _Opened.lists.append(opened)
        opened.begin(statement)
    opened.target = workflow.default_target
    return opened


def _find_opened(kind: type[ImageRules], settings: RuleSettings, workflow: Any) -> ImageRules | None:
    """Return the rules of the module that is being parsed, if an earlier `use rule` has opened its list.

    A Snakefile may give its name to another module since, with other settings.
    """
    module, places = module_of(workflow.modifier), Places(workflow)
    alike = (rules for rules in _Opened.lists if type(rules) is kind and module_of(rules.statement) == module)
    same = (rules for rules in alike if (rules.settings, rules.places.written) == (settings, places.written))
    return next(same, None)


def find_results(name: str, results: str) -> str:
    """Return the folder `results` as the rules write it whose receipts go there.

    Raises UsageError for an image that none of their lists has, or that only rules have which write elsewhere.
    Nothing is known where the rules come later; then Snakemake says it when it looks for who makes the receipt.
    """
    check_listed(name, results)
    modifier = _modifier()
    here = [
        folder for rules in _Opened.lists for folder in rules.places.spellings(modifier) if _are_same(folder, results)
    ]
    if here:
        return here[0]
    having = [rules for rules in _Opened.lists if modifier and rules.is_known and rules.has(name)]
    elsewhere = [folder for rules in having for folder in rules.places.spellings(modifier)]
    if elsewhere:
        raise UsageError(
            f"the files of image {name} are not in {results}, but in {elsewhere[0]}: give `results={elsewhere[0]!r}`. "
            "If other rules make them, too, those have to come before."
        )
    return results.rstrip("/") or results


def check_listed(name: str, results: str) -> None:
    """Raise UsageError for an image that none of the lists has whose receipts go to `results`."""
    lists = [rules for rules in lists_of(results) if rules.is_known]
    if lists and not any(rules.has(name) for rules in lists):
        meant = suggest(name, [known for rules in lists for known in rules.names])
        told = meant + " ".join(f"{rules.origin} has {rules.told_names}." for rules in lists)
        raise UsageError(f"image {name} is in no image list that this workflow has read by here. {told}")


def find_rules_of(name: str, results: str) -> ImageRules | None:
    """Return the rules that have an image, first of all those whose receipts go to `results`; None if none have it."""
    lists = [*lists_of(results), *_Opened.lists]
    return next((rules for rules in lists if rules.has(name)), None)


def lists_of(results: str) -> list[ImageRules]:
    """Return the lists whose receipts go to `results`, of those that this workflow has read by now."""
    modifier = _modifier()
    return [
        rules
        for rules in _Opened.lists
        if any(_are_same(folder, results) for folder in rules.places.spellings(modifier))
    ]


def _are_same(folder: str, other: str) -> bool:
    return os.path.normpath(folder) == os.path.normpath(other)


def _modifier() -> PathModifier | None:
    """Return what moves the paths of the Snakefile that is being parsed.

    None if none is: functions of inputs are called later, and Snakemake says not of which module.
    """
    workflow = _Opened.workflow
    return workflow.modifier.path_modifier if workflow and workflow.included_stack else None


def _are_the_workflow(workflow: Any) -> bool:
    """Return whether the config is the rules' own: they are a module, or the whole workflow."""
    snakefile = workflow.modifier.base_snakefile or workflow.main_snakefile
    return comes_with(snakefile, workflow.included_stack[-1])
