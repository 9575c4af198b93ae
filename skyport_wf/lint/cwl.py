"""Parts of a CWL document that AWE rejects, or drops without a word.

AWE was last changed in 2019, and its workers run a cwltool of that year. What it does with each of these was
tried with its own code, or read from it; runners of today accept all of them, so nothing else would tell.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from skyport_wf.image_list.yaml_document import YamlDocument

VERSION = "v1.0"
KNOWN_REQUIREMENTS = frozenset(
    f"{name}Requirement"
    for name in (
        "Docker", "EnvVar", "InitialWorkDir", "InlineJavascript", "MultipleInputFeature", "Resource", "ScatterFeature",
        "SchemaDef", "ShellCommand", "StepInputExpression", "SubworkflowFeature",
    )
)  # fmt: skip
"""The classes that AWE knows, but for its own ShockRequirement."""

_LOST = {
    "when": "of v1.2; AWE loses it without a word and runs the step always",
    "pickValue": "of v1.2; AWE loses it without a word",
    "loadContents": "of v1.1 on an input itself; AWE loses it without a word. Put it into inputBinding",
    "loadListing": "of v1.1; AWE loses it without a word",
    "intent": "of v1.2; AWE loses it without a word",
}
"""Fields that came after v1.0, where they are no part of a binding."""
_PROSE = frozenset({"doc", "label", "default", "baseCommand", "$namespaces", "$schemas"})
"""Fields in which `$(` is text like any other."""
_REFERENCE = re.compile(r"\$\((?:inputs|self)(?:\.\w+|\[(?:\d+|'[^']*'|\"[^\"]*\")\])*\)")
_EXPRESSION = re.compile(r"\$[({]")


class CwlFinding(msgspec.Struct, frozen=True, order=True):
    """Something in a document that AWE will not take as it is meant."""

    line: int
    where: str
    """The path inside the document, such as `steps.build.requirements`."""
    message: str


def lint_cwl(document: YamlDocument, *, packed: bool = False) -> list[CwlFinding]:
    """Return what AWE would reject, lose or misread, in the order of the lines.

    packed: whether the document is what will be submitted, and so has to have everything in one `$graph`.
    """
    lint = _Lint(document)
    lint.check_document(packed=packed)
    return sorted(set(lint.findings))


class _Lint:
    """Goes through one document once."""

    def __init__(self, document: YamlDocument) -> None:
        self.document = document
        self.findings: list[CwlFinding] = []

    def add(self, path: str, message: str) -> None:
        self.findings.append(CwlFinding(self.document.line_of(path), path.removeprefix("$.") or "$", message))

    def check_document(self, *, packed: bool) -> None:
        value = self.document.value
        if not isinstance(value, dict) or not ({"class", "$graph"} & value.keys()):
            self.add("$", "this is no CWL document: it has neither a `class` nor a `$graph`")
            return
        if (version := value.get("cwlVersion")) != VERSION:
            self.add("$.cwlVersion", f"the version is {version or 'missing'}, AWE's workers need `{VERSION}`")
        if "$graph" in value:
            self.check_graph(value["$graph"])
            return
        if packed or (value["class"] == "Workflow" and str(value.get("id", "")).startswith("#")):
            why = "cwltool --pack leaves it out of a document with one process: pack a workflow that runs it"
            self.add("$", f"the packed document has no `$graph`, and AWE looks there for what to run; {why}")
        self.check_process(value, "$", packed=packed)

    def check_graph(self, graph: Any) -> None:
        processes = [item for item in graph if isinstance(item, dict)] if isinstance(graph, list) else []
        if not any(str(process.get("id", "")).lstrip("#") == "main" for process in processes):
            self.add("$.$graph", "nothing in the `$graph` has the id `#main`, where AWE starts")
        for index, process in enumerate(processes):
            self.check_process(process, f"$.$graph[{index}]", packed=True)

    def check_process(self, process: dict[str, Any], path: str, *, packed: bool) -> None:
        self.check_requirements(process, path)
        self.check_values(process, path)
        for _, value, place in _entries(process, "inputs", path):
            self.check_fields(value, place, ("loadContents", "loadListing"))
        for _, value, place in _entries(process, "outputs", path):
            self.check_fields(value, place, ("pickValue",))
            if "doc" in value:
                self.add(f"{place}.doc", "AWE loses the `doc` of an output without a word. Write a `label`")
        self.check_fields(process, path, ("intent",))
        for _, step, place in _entries(process, "steps", path):
            self.check_step(step, place, packed=packed)

    def check_step(self, step: dict[str, Any], path: str, *, packed: bool) -> None:
        if "requirements" in step:
            where = "Put them into the tool, or into the workflow"
            self.add(f"{path}.requirements", f"AWE rejects `requirements` on a workflow's step. {where}")
        self.check_fields(step, path, ("when",))
        for _, value, place in _entries(step, "in", path):
            self.check_fields(value, place, ("pickValue", "loadContents", "loadListing"))
        if step.get("scatterMethod") == "nested_crossproduct":
            self.add(f"{path}.scatterMethod", "AWE suspends the job at `nested_crossproduct`. Use flat_crossproduct")
        run = step.get("run")
        if isinstance(run, dict):
            self.check_process(run, f"{path}.run", packed=packed)
        elif packed and isinstance(run, str) and not run.startswith("#"):
            self.add(f"{path}.run", f"the packed document needs another file, {run}; AWE gets this one only")

    def check_requirements(self, process: dict[str, Any], path: str) -> None:
        for name, value, place in _entries(process, "requirements", path, key="class"):
            if name == "NetworkAccess":
                self.add(place, "`NetworkAccess` is of v1.1 and fails validation; in v1.0 a container has the network")
            elif name == "ShockRequirement":
                self.add(place, "`ShockRequirement` is added by AWE's submitter, with its own Shock. Leave it out")
            elif name not in KNOWN_REQUIREMENTS:
                loss = "and so drops all requirements and hints of this process without a word. Make it a hint"
                self.add(place, f"AWE does not know the class `{name}`, {loss}")
            elif name == "ResourceRequirement":
                self.check_resources(value, place)

    def check_resources(self, value: dict[str, Any], path: str) -> None:
        for name, amount in value.items():
            if name != "class" and (not isinstance(amount, int) or isinstance(amount, bool)):
                self.add(f"{path}.{name}", f"AWE takes whole numbers only for resources, not {amount!r}")

    def check_fields(self, value: dict[str, Any], path: str, fields: tuple[str, ...]) -> None:
        for field in fields:
            if field in value:
                self.add(f"{path}.{field}", f"`{field}` is {_LOST[field]}")

    def check_values(self, value: Any, path: str) -> None:
        """Check what holds wherever it stands; a process inside a step is checked by itself."""
        if isinstance(value, str):
            self.check_expression(value, path)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.check_values(item, f"{path}[{index}]")
        elif isinstance(value, dict):
            self.check_mapping(value, path)

    def check_mapping(self, value: dict[str, Any], path: str) -> None:
        if isinstance(value.get("doc"), list):
            self.add(f"{path}.doc", "AWE rejects a `doc` that is a list. Write one text, with `|`")
        if isinstance(value.get("position"), str):
            self.add(f"{path}.position", "AWE rejects a `position` that is an expression")
        secondary = value.get("secondaryFiles")
        if any(isinstance(item, dict) for item in (secondary if isinstance(secondary, list) else [secondary])):
            self.add(f"{path}.secondaryFiles", "AWE rejects `secondaryFiles` that are objects, of v1.1. Write patterns")
        for key, item in value.items():
            if key not in _PROSE and not (key == "run" and isinstance(item, dict)):
                self.check_values(item, f"{path}.{key}")

    def check_expression(self, text: str, path: str) -> None:
        if not _EXPRESSION.search(text) or _REFERENCE.fullmatch(text):
            return
        if _REFERENCE.search(text):
            self.add(path, f"AWE loses what stands around the expression in {text!r}. Make it one bare `$(inputs.x)`")
        else:
            self.add(path, f"{text!r} is more than a reference: AWE takes one bare `$(inputs.x)`, and no JavaScript")


def _entries(
    owner: dict[str, Any], field: str, path: str, *, key: str = "id"
) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield name, value and path of what stands in a field that CWL lets be a list or a mapping.

    key: what has the name in the list form. A value in a short form, such as a type alone, is yielded as `{}`.
    """
    value = owner.get(field)
    if isinstance(value, dict):
        for name, item in value.items():
            yield name, item if isinstance(item, dict) else {}, f"{path}.{field}.{name}"
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            item = entry if isinstance(entry, dict) else {}
            yield str(item.get(key, "")), item, f"{path}.{field}[{index}]"
