"""Parts of a CWL document that AWE rejects, or drops without a word.

AWE was last changed in 2019, and its workers run a cwltool of that year. What it does with each of these was tried with
the whole of it, server, worker and submitter; runners of today accept all of them, so nothing else would tell. AWE
evaluates few expressions itself, and hands everything else of a tool to cwltool as it is: that runs as anywhere.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from skyport_wf.image_list.yaml_document import YamlDocument
from skyport_wf.lint.cwl.findings import CwlFinding, CwlLevel
from skyport_wf.lint.cwl.processes import (
    TAKING_IN,
    RunFiles,
    entries,
    graph_processes,
    input_types,
    parse_cwl,
    read_cwl,
    short_name,
)

VERSION = "v1.0"
KNOWN_REQUIREMENTS = frozenset(
    f"{name}Requirement"
    for name in (
        "Docker", "EnvVar", "InitialWorkDir", "InlineJavascript", "MultipleInputFeature", "Resource", "ScatterFeature",
        "SchemaDef", "ShellCommand", "StepInputExpression", "SubworkflowFeature",
    )
)  # fmt: skip
"""The classes that AWE knows, but for its own ShockRequirement."""

_LATER: dict[str, tuple[CwlLevel, str]] = {
    "when": ("loss", "of v1.2; AWE loses it without a word and runs the step always"),
    "pickValue": ("loss", "of v1.2; AWE loses it without a word"),
    "loadContents": ("loss", "of v1.1 on an input itself; AWE loses it without a word. Put it into inputBinding"),
    "loadListing": ("loss", "of v1.1; AWE loses it without a word"),
    "intent": ("note", "of v1.2; AWE drops it"),
}
"""Fields that came after v1.0, where they are no part of a binding."""
_FIRST_WITH_EXPONENT = 1_000_000
"""AWE writes whole numbers from this one on as `1e+06`."""
_IGNORE = re.compile(r"#\s*skyport-wf lint:\s*ignore\b")
_EXPRESSION = re.compile(r"\$\(.+\)")
_BODY = re.compile(r"\$\{.+\}", re.DOTALL)
_NAMED = frozenset({"inputs", "outputs", "steps", "in", "fields", "envDef"})
"""Fields whose keys are names that somebody chose, in the form of a mapping."""
_NETWORK = "NetworkAccess"
_SHOCK = "ShockRequirement"
_FAILING = (_NETWORK, _SHOCK)
"""Classes that are told of in words of their own, in a process and in a step."""
_SOFTWARE = "SoftwareRequirement"
"""The one class of v1.0 that AWE does not know."""
_NAMELESS = ("dockerFile", "dockerLoad", "dockerImport")
"""Where an image may come from without a name."""
_TOOLS = ("CommandLineTool", "ExpressionTool")
_PROCESSES = (*_TOOLS, "Workflow")


def lint_cwl_file(path: Path, *, packed: bool = False) -> list[CwlFinding]:
    """Return what AWE would reject, lose or misread in a document, in the order of the lines.

    packed: whether the document is what will be submitted, and so has to have everything in one `$graph`.
    Raises UsageError if it cannot be read.
    """
    text = read_cwl(path)
    return lint_cwl(parse_cwl(text, name=str(path)), text, packed=packed, folder=path.parent)


def lint_cwl(
    document: YamlDocument, text: str, *, packed: bool = False, folder: Path | None = None
) -> list[CwlFinding]:
    """Return what AWE would reject, lose or misread in a document, in the order of the lines.

    text: the document as it is written.
    packed: as for lint_cwl_file.
    folder: where the files stand that it runs.
    """
    lint = _Lint(document, RunFiles(folder))
    lint.check_document(text, packed=packed)
    # Whoever writes a document for other runners can say so, on the line or above it.
    lines = ["", *text.splitlines()]
    ignored = {number + at for number, line in enumerate(lines) if _IGNORE.search(line) for at in (0, 1)}
    return sorted({one for one in lint.findings if one.line not in ignored})


def _flat(value: Any) -> Iterator[Any]:
    """Yield what a default holds, at any depth; files and folders whole."""
    if isinstance(value, list):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, dict) and "class" not in value:
        yield from _flat(list(value.values()))
    else:
        yield value


class _Lint:
    """Goes through one document once."""

    def __init__(self, document: YamlDocument, files: RunFiles) -> None:
        self.document = document
        self.files = files
        self.graph: dict[str, dict[str, Any]] = {}
        self.findings: list[CwlFinding] = []

    def add(self, level: CwlLevel, path: str, message: str) -> None:
        where = path.removeprefix("$.") or "$"
        self.findings.append(CwlFinding(self.document.line_of(path), where, level, message))

    def check_document(self, text: str, *, packed: bool) -> None:
        value = self.files.with_imports(self.document.value)
        if not isinstance(value, dict) or not ({"class", "$graph"} & value.keys()):
            self.add("failure", "$", "this is no CWL document: it has neither a `class` nor a `$graph`")
            return
        if (version := value.get("cwlVersion")) != VERSION:
            what = f"the version is {version or 'missing'}, AWE's workers need `{VERSION}`"
            self.add("failure", "$.cwlVersion", what)
        self.check_files(value, "$")
        if "$graph" in value:
            self.check_graph(value["$graph"])
            return
        if packed:
            why = "cwltool --pack leaves it out of a document with one process: pack a workflow that runs it"
            what = f"the packed document has no `$graph`, and AWE looks there for what to run; {why}"
            self.add("failure", "$", what)
        elif "$graph" in text:
            # AWE looks for the word in the text, comments and `doc` included.
            line = text[: text.index("$graph")].count("\n") + 1
            what = "AWE takes a document with the word `$graph` in it for a packed one. Write it otherwise"
            self.findings.append(CwlFinding(line, "$", "failure", what))
        self.check_process(value, "$", packed=packed)

    def check_graph(self, graph: Any) -> None:
        processes = graph_processes(graph)
        self.graph = dict(processes)
        if "main" not in self.graph:
            self.add("failure", "$.$graph", "nothing in the `$graph` has the id `#main`, where AWE starts")
        for index, (_, process) in enumerate(processes):
            self.check_process(process, f"$.$graph[{index}]", packed=True)

    def check_process(self, process: dict[str, Any], path: str, *, packed: bool) -> None:
        if isinstance(process.get("doc"), list):
            self.add("failure", f"{path}.doc", "AWE rejects a `doc` that is a list. Write one text, with `|`")
        self.check_later(process, path, "intent")
        self.check_failing_requirements(process, path)
        self.check_requirements(process, path)
        self.check_bindings(process, path)
        if process.get("class") not in _PROCESSES and "$import" not in process:
            self.add("failure", f"{path}.class", f"AWE knows no `{process.get('class')}`, only {', '.join(_PROCESSES)}")
        is_tool = process.get("class") in _TOOLS
        for _, value, place in entries(process, "inputs", path):
            self.check_later(value, place, "loadContents", "loadListing")
            self.check_default(value, place, is_tool=is_tool)
            if is_tool and "doc" in value:
                self.add("note", f"{place}.doc", "AWE drops the `doc` of a tool's input")
        for _, value, place in entries(process, "outputs", path):
            self.check_later(value, place, "pickValue")
            if "doc" in value:
                self.add("note", f"{place}.doc", "AWE drops the `doc` of an output")
        for _, step, place in entries(process, "steps", path):
            self.check_packed_name(str(process.get("id", "")), step, place)
            self.check_step(step, place, packed=packed)

    def check_requirements(self, process: dict[str, Any], path: str) -> None:
        for name, value, place in entries(process, "requirements", path, key="class"):
            if name not in KNOWN_REQUIREMENTS and name not in _FAILING:
                loss = "and so drops all requirements and hints of this process without a word. Make it a hint"
                self.add("loss", place, f"AWE does not know the class `{name}`, {loss}")
            elif name == "ResourceRequirement":
                for field, amount in value.items():
                    if isinstance(amount, float | bool):
                        what = f"AWE takes whole numbers and expressions only for resources, not {amount!r}"
                        self.add("failure", f"{place}.{field}", what)
        for name, _, place in entries(process, "hints", path, key="class"):
            if name not in KNOWN_REQUIREMENTS:
                what = f"AWE drops the hint `{name}`, as it does not know the class"
                what += ", and writes such values where others can read them" if name.endswith("Secrets") else ""
                self.add("note", place, what)

    def check_failing_requirements(self, owner: dict[str, Any], path: str) -> None:
        """Check what cwltool fails at, in a process and in a step alike."""
        for name, _, place in entries(owner, "requirements", path, key="class"):
            if name == _NETWORK:
                what = "`NetworkAccess` is of v1.1 and fails validation; in v1.0 a container has the network"
                self.add("failure", place, what)
            elif name == _SHOCK:
                self.add("failure", place, f"`{_SHOCK}` is added by AWE's submitter, with its own Shock. Leave it out")
        for field in ("requirements", "hints"):
            for name, value, place in entries(owner, field, path, key="class"):
                # It takes no name from what it loads, imports or builds.
                other = [source for source in _NAMELESS if name == "DockerRequirement" and source in value]
                if other and not {"dockerImageId", "dockerPull"} & value.keys():
                    what = f"with `{other[0]}` the job fails at a missing `dockerImageId`. Write the image's name there"
                    self.add("failure", place, what)

    def check_bindings(self, value: Any, path: str, *, is_named: bool = False) -> None:
        """Check what holds wherever it stands; a process inside a step is checked by itself.

        is_named: whether the keys are names that somebody chose.
        """
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.check_bindings(item, f"{path}[{index}]")
            return
        if not isinstance(value, dict):
            return
        # A file that stands there, such as one that is put into the working directory, lists files, and no patterns.
        is_file = value.get("class") in ("File", "Directory")
        secondary = None if is_named or is_file else value.get("secondaryFiles")
        if any(isinstance(item, dict) for item in (secondary if isinstance(secondary, list) else [secondary])):
            what = "AWE rejects `secondaryFiles` that are objects, of v1.1. Write patterns"
            self.add("failure", f"{path}.secondaryFiles", what)
        if not is_named and isinstance(value.get("position"), str):
            self.add("failure", f"{path}.position", "AWE rejects a `position` that is an expression")
        for key, item in value.items():
            if key == "hints" and not is_named:
                for name, hint, place in entries(value, "hints", path, key="class"):
                    # The others are dropped whole.
                    if name in KNOWN_REQUIREMENTS:
                        self.check_bindings(hint, place)
            elif is_named or key not in ("default", "run"):
                self.check_bindings(item, f"{path}.{key}", is_named=not is_named and key in _NAMED)

    def check_files(self, value: Any, path: str) -> None:
        """Check that the files are there which the document takes in."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.check_files(item, f"{path}[{index}]")
        elif isinstance(value, dict):
            for key, item in value.items():
                if key in TAKING_IN:
                    self.check_file(item, path)
                self.check_files(item, f"{path}.{key}")

    def check_file(self, address: Any, path: str) -> None:
        if isinstance(address, str) and self.files.is_missing(address):
            what = f"there is no {address.partition('#')[0]}, and so the job fails. Mend the path"
            self.add("failure", path, what)

    def check_default(self, parameter: dict[str, Any], path: str, *, is_tool: bool, kind: str = "") -> None:
        """Check the `default` of an input, or of a step's.

        kind: its type, where the parameter has none; empty if that is not known.
        """
        default = parameter.get("default")
        values = list(_flat(default))
        # A default of a float may lose its dot.
        is_whole = re.search(r"\b(int|long)\b", str(parameter.get("type", kind or "int"))) is not None
        if is_whole and any(isinstance(one, int) and abs(one) >= _FIRST_WITH_EXPONENT for one in values):
            what = "AWE writes whole numbers from 1000000 on as `1e+06`, which is no `int` then. Leave the default out"
            self.add("failure", f"{path}.default", what)
        files = (one for one in values if isinstance(one, dict) and one.get("class") in ("File", "Directory"))
        # A literal has its content with it.
        if is_tool and any("contents" not in one and "listing" not in one for one in files):
            what = "AWE cannot fetch a file that is the default of a tool's input. Make it one of the workflow's"
            self.add("failure", f"{path}.default", what)

    def check_packed_name(self, workflow: str, step: dict[str, Any], path: str) -> None:
        """Check that a step is named after the workflow that has it, as far as AWE looks.

        It splits names at each slash: two parts are an input of a workflow, three are an output of a step.
        """
        name = str(step.get("id", ""))
        inside = f"#{workflow.lstrip('#')}/"
        is_right = name.startswith(inside) and "/" not in name.removeprefix(inside)
        # A workflow inside of a step is told of there; names without `#` are not yet whole.
        if name.startswith("#") and "/" not in workflow and not is_right:
            what = f"AWE expects this step as {inside}{name.rpartition('/')[2]}, not {name}"
            self.add("failure", f"{path}.id", f"{what}. Take the `id` out of the workflow's file, and pack again")

    def check_step(self, step: dict[str, Any], path: str, *, packed: bool) -> None:
        self.check_later(step, path, "when")
        self.check_failing_requirements(step, path)
        for name, _, place in entries(step, "requirements", path, key="class"):
            # Unlike a process, which loses them all, a step is refused.
            if name not in KNOWN_REQUIREMENTS and name not in (*_FAILING, _SOFTWARE):
                what = f"`{name}` is no class of {VERSION}, and fails validation. Make it a hint"
                self.add("failure", place, what)
        kinds = input_types(self.find_process(step.get("run")))
        for name, value, place in entries(step, "in", path):
            self.check_later(value, place, "pickValue", "loadContents", "loadListing")
            self.check_default(value, place, is_tool=False, kind=kinds.get(short_name(name), ""))
            self.check_value_from(value.get("valueFrom"), f"{place}.valueFrom")
        if step.get("scatterMethod") == "nested_crossproduct":
            what = "AWE suspends the job at `nested_crossproduct`. Use flat_crossproduct"
            self.add("failure", f"{path}.scatterMethod", what)
        run = step.get("run")
        if step.get("scatter") and self.find_process(run).get("class") == "Workflow":
            self.add("failure", f"{path}.scatter", "AWE fails at a `scatter` over a workflow. Scatter in that workflow")
        if isinstance(run, dict):
            if packed and run.get("class") == "Workflow":
                what = "AWE does not find the steps of a workflow inside a packed step. Put it into a file of its own"
                self.add("failure", f"{path}.run", f"{what}, and pack again")
            self.check_process(run, f"{path}.run", packed=packed)
        elif packed and isinstance(run, str) and not run.startswith("#"):
            what = f"the packed document needs another file, {run}; AWE gets this one only"
            self.add("failure", f"{path}.run", what)
        elif isinstance(run, str):
            self.check_file(run, f"{path}.run")
            if deep := self.files.find_too_deep(run):
                what = f"AWE does not find {deep}: a path may lead into one folder, not into one inside of that"
                self.add("failure", f"{path}.run", what)

    def find_process(self, run: Any) -> dict[str, Any]:
        """Return what a step runs: what stands there, or what that names; an empty process if it is not found."""
        if isinstance(run, dict):
            imported = run.get("$import")
            return self.files.process(imported) if isinstance(imported, str) else run
        if not isinstance(run, str):
            return {}
        return self.graph.get(unquote(run[1:]), {}) if run.startswith("#") else self.files.process(run)

    def check_value_from(self, text: Any, path: str) -> None:
        """Check an expression that AWE evaluates itself: the value of a step's input."""
        if not isinstance(text, str):
            return
        # It looks for `$(` and the last `)` on each line, and only without any for `${`.
        expressions = _EXPRESSION.findall(text)
        if any("$(" in one[2:] for one in expressions):
            self.add(
                "failure", path, f"AWE takes {text!r} for one expression, with a mistake in it. Write one `$(...)`"
            )
        elif len(expressions) == 1 or (not expressions and _BODY.search(text)):
            only = expressions or _BODY.findall(text)
            if only[0] != text.strip():
                what = f"AWE loses what stands around the expression in {text!r}"
                self.add("loss", path, f"{what}. Put it into the expression: `$(self + '.txt')`")

    def check_later(self, value: dict[str, Any], path: str, *fields: str) -> None:
        for field in fields:
            if field in value:
                level, what = _LATER[field]
                self.add(level, f"{path}.{field}", f"`{field}` is {what}")
