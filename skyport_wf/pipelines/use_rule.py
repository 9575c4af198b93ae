"""The `use rule` statements of a Snakefile: each parses its module anew, and keeps the rules that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def module_of(statement: Any) -> tuple[str | None, ...]:
    """Return the name of the module that a statement is about, and those of the modules around it, inside out.

    statement: Snakemake's modifier of the rules that are being parsed; a pipeline that includes them has one without
        a name, for all of it.
    """
    return tuple(one.namespace for one in _with_those_around(statement))


def takes_all(statement: Any) -> bool:
    """Return whether a statement takes all rules as they are, and so do those around it.

    statement: as for `module_of`.
    """
    return not any(
        one.rule_whitelist is not None or one.rule_exclude_list or one.ruleinfo_overwrite
        for one in _with_those_around(statement)
    )


def _with_those_around(statement: Any) -> Iterator[Any]:
    while statement is not None:
        yield statement
        statement = statement.parent_modifier
