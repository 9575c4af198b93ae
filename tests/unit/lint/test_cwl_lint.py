"""Each thing that AWE rejects or loses in a CWL document: found, with its line, its level and the reason."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyport_wf.errors import UsageError
from skyport_wf.image_list.yaml_document import parse_yaml
from skyport_wf.lint.cwl.document import lint_cwl, lint_cwl_file
from skyport_wf.lint.cwl.findings import CwlFinding
from tests.support.commands import SKYPORT

TOOL = """\
cwlVersion: v1.0
class: CommandLineTool
label: says $(inputs.text) twice
doc: |
  Any text, $(even this).
requirements:
  InlineJavascriptRequirement: {}
  EnvVarRequirement:
    envDef:
      TEXT: a-$(inputs.text)
  InitialWorkDirRequirement:
    listing:
    - {entryname: $(inputs.text).txt, entry: "Hello $(inputs.text)!"}
  ResourceRequirement:
    coresMin: $(inputs.number)
    ramMin: 1000
hints:
  DockerRequirement: {dockerLoad: "http://127.0.0.1/node/1?download", dockerImageId: "sha256:0"}
baseCommand: [sh, -c, 'echo "$(date)"']
arguments:
- {prefix: --threads, valueFrom: $(runtime.cores)}
- {valueFrom: "${ return inputs.text + '.txt'; }", shellQuote: false}
- --out=$(inputs.text).bam
stdout: $(inputs.text).$(inputs.number).txt
inputs:
  text:
    type: string
    default: a $(literal)
    inputBinding: {position: 1}
  number: {type: int, default: 999999}
  ratio: {type: double, default: 1000000}
  position: string
  secondaryFiles: {type: File, default: {class: File, contents: literal}}
  file:
    type: File
    secondaryFiles: [.bai, ^.dict]
    inputBinding: {valueFrom: $(self.basename), loadContents: true}
outputs:
  said: stdout
  log: {type: File, outputBinding: {glob: $(inputs.text).log, outputEval: "${ return self[0]; }"}}
"""
WORKFLOW = """\
cwlVersion: v1.0
class: Workflow
requirements: [{class: ScatterFeatureRequirement}]
inputs:
  texts: {type: "string[]", doc: [Some, lines]}
  file: {type: File, default: {class: File, location: "http://127.0.0.1/x"}}
steps:
  say:
    run: tool.cwl
    requirements: [{class: InlineJavascriptRequirement}]
    scatter: text
    scatterMethod: flat_crossproduct
    in:
      text: texts
      number: {default: 3}
      ratio: {source: file, valueFrom: $(self.size / 2)}
      position: {valueFrom: "${ return inputs.text + '$'; }"}
      more: {valueFrom: plain}
    out: [said]
outputs:
  all:
    type: File[]
    outputSource: say/said
"""
EXPRESSION = """\
cwlVersion: v1.0
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {file: File}
outputs: {size: int}
expression: "${ return {'size': inputs.file.size}; }"
"""


def findings(text: str, *, packed: bool = False, folder: Path | None = None) -> list[CwlFinding]:
    return lint_cwl(parse_yaml(text, name="x.cwl"), text, packed=packed, folder=folder)


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("text", [TOOL, WORKFLOW, EXPRESSION], ids=["tool", "workflow", "expression"])
def test_finds_nothing_in_what_awe_takes(text: str) -> None:
    """Among it all that AWE hands to cwltool as it is, or was seen to evaluate right itself."""
    assert findings(text) == []
    assert findings(json.dumps(yaml.safe_load(text), indent=4)) == []


RESOURCES = "    coresMin: $(inputs.number)\n    ramMin: 1000"
# Each: what of the document is replaced, by what, the part whose line is told, the level and the reason.
COUNTER_EXAMPLES = {
    "unknown class": (TOOL, f"  ResourceRequirement:\n{RESOURCES}", "  WorkReuse: {enableReuse: false}", "WorkReuse",
        "loss", "AWE does not know the class `WorkReuse`, and so drops all requirements and hints of this process"),
    "software as a requirement": (TOOL, f"  ResourceRequirement:\n{RESOURCES}", "  SoftwareRequirement: {packages: []}",
        "SoftwareRequirement", "loss", "AWE does not know the class `SoftwareRequirement`"),
    "unknown class of a list": (WORKFLOW, "[{class: ScatterFeatureRequirement}]", "[{class: cwltool:Secrets}]",
        "cwltool:Secrets", "loss", "AWE does not know the class `cwltool:Secrets`"),
    "unknown hint": (TOOL, "  DockerRequirement:", "  cwltool:WorkReuse: {}\n  DockerRequirement:", "WorkReuse", "note",
        "AWE drops the hint `cwltool:WorkReuse`"),
    "secrets": (TOOL, "  DockerRequirement:", "  cwltool:Secrets: {}\n  DockerRequirement:", "Secrets", "note",
        "and writes such values where others can read them"),
    "network access": (TOOL, f"  ResourceRequirement:\n{RESOURCES}", "  NetworkAccess: {networkAccess: true}",
        "NetworkAccess", "failure", "`NetworkAccess` is of v1.1 and fails validation"),
    "Shock requirement": (TOOL, f"  ResourceRequirement:\n{RESOURCES}", "  ShockRequirement: {shock_api_url: x}",
        "ShockRequirement", "failure", "`ShockRequirement` is added by AWE's submitter"),
    "resources in parts": (TOOL, "ramMin: 1000", "ramMin: 0.5", "ramMin", "failure",
        "AWE takes whole numbers and expressions only"),
    "doc list": (TOOL, "doc: |\n  Any text, $(even this).", "doc: [Any, text]", "doc:", "failure",
        "AWE rejects a `doc` that is a list"),
    "doc of a tool's input": (TOOL, "    default: a", "    doc: [Any, text]\n    default: a", "doc: [Any",
        "note", "AWE drops the `doc` of a tool's input"),
    "doc of an output": (TOOL, "log: {type: File,", "log: {type: File, doc: lost,", "doc: lost", "note",
        "AWE drops the `doc` of an output"),
    "position": (TOOL, "{position: 1}", "{position: $(self)}", "position: $", "failure",
        "AWE rejects a `position` that is an expression"),
    "position of an argument": (TOOL, "{prefix: --threads,", "{position: $(self), prefix: --threads,", "position: $",
        "failure", "AWE rejects a `position` that is an expression"),
    "secondary file object": (TOOL, "[.bai, ^.dict]", "[{pattern: .bai}]", "secondaryFiles: [", "failure",
        "AWE rejects `secondaryFiles` that are objects"),
    "one secondary file object": (TOOL, "[.bai, ^.dict]", "{pattern: .bai}", "secondaryFiles: {p", "failure",
        "AWE rejects `secondaryFiles` that are objects"),
    "contents of an input": (TOOL, "    type: File\n", "    type: File\n    loadContents: true\n", "    loadContents",
        "loss", "`loadContents` is of v1.1"),
    "listing of an input": (TOOL, "    type: File\n", "    type: File\n    loadListing: no_listing\n", "loadListing",
        "loss", "`loadListing` is of v1.1"),
    "a million": (TOOL, "default: 999999", "default: 1000000", "number:", "failure",
        "AWE writes whole numbers from 1000000"),
    "less than minus a million": (TOOL, "default: 999999", "default: -2000000", "number:", "failure",
        "AWE writes whole numbers"),
    "a million among others": (TOOL, "{type: int, default: 999999}", '{type: "long[]", default: [1, 1000000]}',
        "number:", "failure", "AWE writes whole numbers"),
    "a million in a record": (TOOL, "{type: int, default: 999999}",
        "{type: {type: record, fields: {n: int}}, default: {n: 1000000}}", "number:", "failure",
        "AWE writes whole numbers"),
    "a million for a step": (WORKFLOW, "{default: 3}", "{default: 3000000}", "number:", "failure",
        "AWE writes whole numbers"),
    "a file for a tool": (TOOL, "{class: File, contents: literal}", "{class: File, location: x}",
        "secondaryFiles: {type", "failure", "AWE cannot fetch a file that is the default of a tool's input"),
    "version": (TOOL, "cwlVersion: v1.0", "cwlVersion: v1.2", "cwlVersion", "failure",
        "the version is v1.2, AWE's workers need `v1.0`"),
    "another process": (EXPRESSION, "class: ExpressionTool", "class: Operation", "class:", "failure",
        "AWE knows no `Operation`, only CommandLineTool, ExpressionTool, Workflow"),
    "no version": (TOOL, "cwlVersion: v1.0\n", "", "class:", "failure", "the version is missing"),
    "intent": (TOOL, "label:", "intent: [x]\nlabel:", "intent", "note", "`intent` is of v1.2"),
    "when": (WORKFLOW, "    run: tool.cwl", "    when: $(inputs.text)\n    run: tool.cwl", "when", "loss",
        "`when` is of v1.2; AWE loses it without a word and runs the step always"),
    "pickValue of an output": (WORKFLOW, "    outputSource:", "    pickValue: all_non_null\n    outputSource:",
        "pickValue", "loss", "`pickValue` is of v1.2"),
    "pickValue of a step": (WORKFLOW, "text: texts", "text: {source: texts, pickValue: all_non_null}", "pickValue",
        "loss", "`pickValue` is of v1.2"),
    "text around a step's expression": (WORKFLOW, "$(self.size / 2)", "$(self.basename).txt", "basename", "loss",
        "AWE loses what stands around the expression in '$(self.basename).txt'"),
    "text around a step's function": (WORKFLOW, "\"${ return inputs.text + '$'; }\"", '"a ${ return 1; }"',
        "return 1", "loss", "AWE loses what stands around the expression"),
    "two expressions of a step": (WORKFLOW, "$(self.size / 2)", "$(self.nameroot)$(self.nameext)", "nameroot",
        "failure", "for one expression, with a mistake in it"),
    "nested crossproduct": (WORKFLOW, "flat_crossproduct", "nested_crossproduct", "nested_crossproduct", "failure",
        "AWE suspends the job at `nested_crossproduct`"),
    "scatter over a workflow": (WORKFLOW, "run: tool.cwl", "run: {class: Workflow, inputs: [], outputs: [], steps: []}",
        "scatter:", "failure", "AWE fails at a `scatter` over a workflow"),
    "in a step's own tool": (WORKFLOW, "run: tool.cwl",
        "run: {class: CommandLineTool, requirements: {WorkReuse: {}}, inputs: [], outputs: []}", "run:", "loss",
        "AWE does not know the class `WorkReuse`"),
    "the word of packing": (WORKFLOW, "steps:", "# no $graph here\nsteps:", "$graph", "failure",
        "AWE takes a document with the word `$graph` in it for a packed one"),
    "the word of packing in a doc": (TOOL, "Any text,", "Any text, $graph,", "$graph", "failure",
        "AWE takes a document with the word `$graph`"),
    "two folders below": (WORKFLOW, "run: tool.cwl", "run: tools/more/tool.cwl", "run:", "failure",
        "AWE does not find tools/more/tool.cwl"),
}  # fmt: skip
NOT_IN_A_GRAPH = {"the word of packing", "the word of packing in a doc", "two folders below", "scatter over a workflow"}


@pytest.mark.parametrize("example", COUNTER_EXAMPLES.values(), ids=COUNTER_EXAMPLES.keys())
def test_finds_what_awe_does_not_take(example: tuple[str, str, str, str, str, str]) -> None:
    good, old, new, where, level, reason = example
    assert good.count(old) == 1
    text = good.replace(old, new)
    (found,) = findings(text)
    assert (found.line, found.level) == (line_of(text, where), level)
    assert reason in found.message


@pytest.mark.parametrize("name", sorted(COUNTER_EXAMPLES.keys() - NOT_IN_A_GRAPH))
def test_finds_it_in_a_graph_too(name: str) -> None:
    good, old, new, _, level, reason = COUNTER_EXAMPLES[name]
    process = as_packed(yaml.safe_load(good.replace(old, new)))
    version = process.pop("cwlVersion", None)
    document = {"$graph": [{"class": "ExpressionTool", "id": "#tool.cwl"}, process]} | (
        {"cwlVersion": version} if version else {}
    )
    (found,) = findings(json.dumps(document, indent=4), packed=True)
    assert found.level == level
    assert reason in found.message
    assert found.line > 5 or "version" in reason or "document" in reason


def test_what_is_inside_of_a_packed_step() -> None:
    inner = {"class": "Workflow", "id": "#main/say/run", "inputs": [], "outputs": [], "steps": []}
    main = as_packed(yaml.safe_load(WORKFLOW))
    del main["cwlVersion"]
    (step,) = main["steps"]
    for run, scatter, messages in (
        (inner, None, ["AWE does not find the steps of a workflow inside a packed step"]),
        ("#sub", "text", ["AWE fails at a `scatter` over a workflow"]),
        ("#sub", None, []),
    ):
        step |= {"run": run, "scatter": scatter}
        document = {"cwlVersion": "v1.0", "$graph": [main, inner | {"id": "#sub"}]}
        found = findings(json.dumps(document, indent=4), packed=True)
        assert [one.message[: len(message)] for one, message in zip(found, messages, strict=True)] == messages


@pytest.mark.parametrize(
    ("name", "wrong"), [("#inner.cwl/step", None), ("step", None), ("#inner.cwl/own/step", "#inner.cwl/step")]
)
def test_steps_of_a_packed_workflow_are_named_after_it(name: str, wrong: str | None) -> None:
    """As cwltool --pack names them: with the workflow's own `id` between, if its file has one."""
    inner = {"class": "Workflow", "id": "#inner.cwl", "inputs": [], "outputs": []}
    inner["steps"] = [{"id": name, "run": "#tool.cwl", "in": [], "out": []}]
    document = {"cwlVersion": "v1.0", "$graph": [inner | {"id": "#main", "steps": []}, inner]}
    found = findings(json.dumps(document), packed=True)
    expected = [f"AWE expects this step as {wrong}"] if wrong else []
    assert [one.message.partition(", not")[0] for one in found] == expected


@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        ("{type: float}", []),
        ("double", []),
        ("[double, string]", []),
        ("{type: int}", ["AWE writes whole numbers from 1000000"]),
        ("'long?'", ["AWE writes whole numbers from 1000000"]),
        ("{}", ["AWE writes whole numbers from 1000000"]),
    ],
)
def test_a_default_of_a_step_has_the_type_that_its_process_says(tmp_path: Path, kind: str, messages: list[str]) -> None:
    inputs = f"{{text: string, number: {kind}}}"
    own = f"{{class: CommandLineTool, baseCommand: x, inputs: {inputs}, outputs: []}}"
    (tmp_path / "tool.cwl").write_text(f"cwlVersion: v1.0\nclass: CommandLineTool\ninputs: {inputs}\noutputs: []\n")
    text = WORKFLOW.replace("{default: 3}", "{default: 3000000}")
    for run in ("tool.cwl", own):
        (tmp_path / "w.cwl").write_text(text.replace("run: tool.cwl", f"run: {run}"))
        found = lint_cwl_file(tmp_path / "w.cwl")
        assert [one.message[:37] for one in found if one.level == "failure"] == messages
    main = as_packed(yaml.safe_load(text.replace("run: tool.cwl", "run: '#tool.cwl'")))
    tool = as_packed(yaml.safe_load(own)) | {"id": "#tool.cwl"}
    tool["inputs"] = [one | {"id": f"#tool.cwl/{one['id'].rpartition('/')[2]}"} for one in tool["inputs"]]
    found = findings(json.dumps({"cwlVersion": main.pop("cwlVersion"), "$graph": [tool, main]}), packed=True)
    assert [one.message[:37] for one in found if one.level == "failure"] == messages


@pytest.mark.parametrize("hints", ["{'x:Grid': {position: top}}", "[{class: 'x:Grid', secondaryFiles: {pattern: y}}]"])
def test_what_stands_in_a_hint_that_awe_drops_fails_nothing(hints: str) -> None:
    text = EXPRESSION.replace("class: ExpressionTool\n", f"class: ExpressionTool\nhints: {hints}\n")
    assert [one.level for one in findings(text)] == ["note"]


def test_the_files_beside_a_file_that_stands_there_are_no_patterns() -> None:
    line = '    - {entryname: $(inputs.text).txt, entry: "Hello $(inputs.text)!"}\n'
    file = "    - {class: File, location: a.bam, secondaryFiles: [{class: File, location: a.bai}]}\n"
    assert line in TOOL
    assert findings(TOOL.replace(line, line + file)) == findings(TOOL)


def test_a_second_document_is_said_of_cwl(tmp_path: Path) -> None:
    path = tmp_path / "x.cwl"
    for text, message in {
        TOOL + "---\na: 1\n": r"a second document \(`---`\): a CWL document is one",
        "[" * 41 + "]" * 41: "nested too deeply to be a CWL document",
    }.items():
        path.write_text(text)
        with pytest.raises(UsageError, match=message):
            lint_cwl_file(path)


def test_what_other_files_run(tmp_path: Path) -> None:
    """A workflow is one whichever file it stands in, and a path is as deep as the whole way to it."""
    graph = [{"id": "main", **yaml.safe_load(WORKFLOW)}, {"id": "#tool", **yaml.safe_load(TOOL)}]
    packed = json.dumps({"cwlVersion": "v1.0", "$graph": graph})
    for name, text in {
        "tool.cwl": TOOL,
        "sub/workflow.cwl": WORKFLOW.replace("tool.cwl", "../tool.cwl"),
        "sub/deep.cwl": WORKFLOW.replace("tool.cwl", "more/tool.cwl"),
        "sub/round.cwl": WORKFLOW.replace("tool.cwl", "round.cwl"),
        "sub/broken.cwl": "a: [",
        "two words.cwl": WORKFLOW,
        "packed.cwl": packed,
        "sub/packed.cwl": packed.replace("tool.cwl", "more/tool.cwl"),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    def told(run: str, *, scatter: bool) -> list[str]:
        text = WORKFLOW.replace("tool.cwl", run)
        text = text if scatter else text.replace("    scatter: text\n    scatterMethod: flat_crossproduct\n", "")
        return [one.message for one in findings(text, folder=tmp_path)]

    assert told("tool.cwl", scatter=True) == []
    assert told("sub/workflow.cwl", scatter=False) == []
    workflows = ("sub/workflow.cwl", "sub/workflow.cwl#main", "two%20words.cwl", "packed.cwl", "packed.cwl#main")
    for run in (*workflows, "{$import: sub/workflow.cwl}", '{$import: "packed.cwl#main"}'):
        assert told(run, scatter=True) == ["AWE fails at a `scatter` over a workflow. Scatter in that workflow"]
    for run in ("packed.cwl#tool", "{$import: tool.cwl}", '{$import: "packed.cwl#tool"}', "packed.cwl#none"):
        assert told(run, scatter=True) == []
    (deep,) = told("sub/packed.cwl", scatter=False)
    assert "AWE does not find sub/more/tool.cwl" in deep
    assert told("sub/packed.cwl#tool", scatter=False) == []
    (deep,) = told("sub/deep.cwl", scatter=False)
    assert "AWE does not find sub/more/tool.cwl" in deep
    assert told(f"../{tmp_path.name}/tool.cwl", scatter=True) == []
    assert told("none.cwl#main", scatter=True) == ["there is no none.cwl, and so the job fails. Mend the path"]
    for odd in ("sub/round.cwl", "sub/broken.cwl", "sub", "http://127.0.0.1:1/a/b/c.cwl", "/dev/zero"):
        assert told(odd, scatter=False) == []


def test_a_comment_says_what_is_for_other_runners() -> None:
    (found,) = findings(WORKFLOW.replace("flat_", "nested_"))
    above = WORKFLOW.replace(
        "    scatterMethod: flat_", "    # skyport-wf lint: ignore (for cwltool)\n    scatterMethod: nested_"
    )
    assert findings(above) == []
    assert findings(WORKFLOW.replace("flat_crossproduct", "nested_crossproduct # skyport-wf lint: ignore")) == []
    elsewhere = WORKFLOW.replace("flat_", "nested_").replace("outputs:", "# skyport-wf lint: ignore\noutputs:")
    assert findings(elsewhere) == [found]


def as_packed(process: dict[str, Any]) -> dict[str, Any]:
    """Return the process in the list form that packing makes."""

    def listed(value: Any, key: str) -> Any:
        if not isinstance(value, dict):
            return value
        return [{**(item if isinstance(item, dict) else {"type": item}), key: name} for name, item in value.items()]

    packed = {**process, "id": "#main"}
    for field, key in (
        ("inputs", "id"),
        ("outputs", "id"),
        ("steps", "id"),
        ("requirements", "class"),
        ("hints", "class"),
    ):
        if field in packed:
            packed[field] = listed(packed[field], key)
    for step in packed.get("steps", []):
        step["in"] = listed(step["in"], "id")
        if step["run"] == "tool.cwl":
            step["run"] = "#tool.cwl"
    return packed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TOOL, "the packed document has no `$graph`"),
        ("cwlVersion: v1.0\n$graph: []\n", "nothing in the `$graph` has the id `#main`"),
        (
            f"cwlVersion: v1.0\n$graph:\n- {json.dumps({**yaml.safe_load(WORKFLOW), 'id': '#main'})}\n",
            "needs another file, tool.cwl",
        ),
    ],
    ids=["tool", "no main", "another file"],
)
def test_what_is_submitted_has_everything_in_its_graph(text: str, message: str) -> None:
    assert any(message in one.message and one.level == "failure" for one in findings(text, packed=True))


@pytest.mark.parametrize(
    "text", ["just text\n", "[1, 2]\n", "a: 1\n", "$graph: text\ncwlVersion: v1.0\n", "class: [1]\n1: 2\n"]
)
def test_what_is_no_document_is_a_finding_too(text: str) -> None:
    assert findings(text)


def test_what_is_imported_is_not_known(tmp_path: Path) -> None:
    imported = "requirements: [{$import: a.yml}]\nhints: [{$import: b.yml}]\nclass: ExpressionTool"
    text = EXPRESSION.replace("requirements: {InlineJavascriptRequirement: {}}\n", "")
    assert findings(text.replace("class: ExpressionTool", imported)) == []


def test_what_is_imported_counts_where_it_is_imported(tmp_path: Path) -> None:
    """Nothing else checks fragments, as they are no documents: in lists and mappings, and from other folders."""
    for name, text in {
        "network.yml": "{class: NetworkAccess, networkAccess: true}",
        "list.yml": "[{class: InlineJavascriptRequirement}, {$import: network.yml}]",
        "sub/mapping.yml": "{InlineJavascriptRequirement: {}, NetworkAccess: {$import: ../network.yml}}",
        "known.yml": "{InlineJavascriptRequirement: {}}",
        "inputs.yml": "{depth: {type: int, default: 2000000}}",
        "step.yml": "{run: tool.cwl, in: {}, out: [], scatterMethod: nested_crossproduct}",
        "round.yml": "[{$import: round.yml}, {$import: round.yml}]",
        "broken.yml": "a: [",
        "sub/parts.yml": "- {id: js, class: InlineJavascriptRequirement}\n- {id: net, $import: ../network.yml}",
        "graph.yml": "$graph: [{name: '#net', class: NetworkAccess}]",
        "sub/lost.yml": "{class: InlineJavascriptRequirement, expressionLib: [{$include: lost.js}]}",
        "sub/step.yml": "{run: ../tool.cwl, in: {}, out: []}",
        "tool.cwl": TOOL,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    start = "cwlVersion: v1.0\n"

    def told(text: str) -> list[tuple[int, str, str]]:
        return [
            (one.line, one.where, one.message.split(":")[0][:30]) for one in findings(start + text, folder=tmp_path)
        ]

    def requiring(imported: str) -> list[str]:
        text = f"class: ExpressionTool\nrequirements: {imported}\ninputs: []\n"
        found = told(text)
        assert all((line, message) == (3, "`NetworkAccess` is of v1.1 and") for line, _, message in found)
        return [where for _, where, _ in found]

    assert requiring("{$import: list.yml}") == ["requirements[1]"]
    assert requiring("[{$import: list.yml}]") == ["requirements[0][1]"]
    assert requiring("[{$import: network.yml}]") == ["requirements[0]"]
    assert requiring("{$import: sub/mapping.yml}") == ["requirements.NetworkAccess"]
    assert requiring("[{$import: 'graph.yml#net'}]") == ["requirements[0]"]
    assert requiring("[{$import: 'sub/parts.yml#js'}]") == []
    odd = ("broken.yml", "round.yml", "http://127.0.0.1:1/x.yml", "/dev/zero", "'#x'", "'sub/parts.yml#none'")
    for harmless in ("known.yml", *odd):
        assert requiring(f"{{$import: {harmless}}}") == []
    for address, missing in (("none.yml", "none.yml"), ("'no.yml#x'", "no.yml"), ("sub/lost.yml", "sub/lost.js")):
        ((line, _, message),) = told(f"class: ExpressionTool\nrequirements: [{{$import: {address}}}]\ninputs: []\n")
        assert (line, message) == (3, f"there is no {missing}, and so the job fails. Mend the path"[:30])
    own = "{class: ExpressionTool, requirements: [{$import: network.yml}], inputs: {run: string}}"
    assert told(f"class: Workflow\nsteps: [{{id: a, run: {own}, in: {{}}, out: []}}]\n") == [
        (3, "steps[0].run.requirements[0]", "`NetworkAccess` is of v1.1 and")
    ]
    assert told("class: Workflow\nsteps: [{$import: sub/step.yml}]\n") == []
    assert told("class: CommandLineTool\ninputs: {$import: inputs.yml}\n") == [
        (3, "inputs.depth.default", "AWE writes whole numbers from ")
    ]
    assert told("class: Workflow\nsteps:\n  a: {$import: step.yml}\n") == [
        (4, "steps.a.scatterMethod", "AWE suspends the job at `neste")
    ]


@pytest.mark.parametrize("field", ["requirements", "hints"])
def test_an_image_that_is_not_pulled_needs_a_name(field: str) -> None:
    text = f"cwlVersion: v1.0\nclass: CommandLineTool\n{field}:\n  DockerRequirement: "
    for source in ("dockerLoad: http://127.0.0.1/x", "dockerFile: FROM scratch", "dockerImport: http://127.0.0.1/x"):
        (found,) = findings(f"{text}{{{source}}}\n")
        assert (found.line, found.level) == (4, "failure")
        assert found.message == f"with `{source.split(':')[0]}` the job fails at a missing `dockerImageId`. " + (
            "Write the image's name there"
        )
        assert findings(f"{text}{{{source}, dockerImageId: lab/tool}}\n") == []
    assert findings(f"{text}{{dockerPull: lab/tool}}\n") == []


def test_a_step_fails_at_the_requirements_at_which_a_process_does() -> None:
    """So it does at classes that v1.0 does not have, of which a process loses all that it requires."""
    for field, requirement, message in (
        ("requirements", "WorkReuse: {enableReuse: false}", "`WorkReuse` is no class of v1.0, and fails validation."),
        ("requirements", "ShockRequirement: {shock_api_url: x}", "`ShockRequirement` is added by AWE's submitter"),
        ("requirements", "ToolTimeLimit: {timelimit: 3}", "`ToolTimeLimit` is no class of v1.0"),
        ("requirements", "NetworkAccess: {networkAccess: true}", "`NetworkAccess` is of v1.1"),
        ("requirements", "DockerRequirement: {dockerLoad: http://127.0.0.1/x}", "with `dockerLoad` the job fails"),
        ("hints", "DockerRequirement: {dockerLoad: http://127.0.0.1/x}", "with `dockerLoad` the job fails"),
    ):
        text = WORKFLOW.replace("    requirements: [{class: InlineJ", f"    {field}: {{{requirement}}}\n    # [{{")
        (found,) = findings(text)
        assert (found.level, found.where) == ("failure", f"steps.say.{field}.{requirement.partition(':')[0]}")
        assert found.message.startswith(message)
    for harmless in ("requirements: {SoftwareRequirement: {packages: {}}}", "hints: {NetworkAccess: {}}"):
        assert findings(WORKFLOW.replace("    requirements: [{class: InlineJ", f"    {harmless}\n    # [{{")) == []


def test_odd_shapes_are_no_crash() -> None:
    odd = "class: Workflow\ncwlVersion: v1.0\ninputs: 1\noutputs: [x, 2]\nrequirements: [x, {}]\n"
    odd += "steps: {a: b, c: {in: [1], run: 3}}\n"
    assert {"AWE does not know the class"} == {one.message[:27] for one in findings(odd)}


def skyport_lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [SKYPORT, "lint", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_command_tells_file_line_and_reason(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.cwl", tmp_path / "bad.cwl"
    good.write_text(TOOL)
    bad.write_text(TOOL.replace("{position: 1}", "{position: $(self)}"))
    assert skyport_lint("--cwl", str(good)).returncode == 0

    done = skyport_lint("--cwl", str(good), str(bad))
    assert done.returncode == 3
    line = line_of(bad.read_text(), "position: $")
    path = "inputs.text.inputBinding.position"
    assert done.stdout == (
        f"{bad}:{line}: failure: {path}: AWE rejects a `position` that is an expression\n"
        "2 documents: 1 failure, 0 losses\n"
    )

    told = json.loads(skyport_lint("--cwl", str(bad), "--json").stdout)
    assert told["level"] == "loss"
    assert [(one["file"], one["line"], one["where"], one["level"]) for one in told["findings"]] == [
        (str(bad), line, path, "failure")
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "codes"),
    [(None, (0, 3, 3)), ("failure", (0, 0, 3)), ("loss", (0, 3, 3)), ("note", (3, 3, 3)), ("none", (0, 0, 0))],
)
def test_the_exit_code_depends_on_the_level(tmp_path: Path, level: str | None, codes: tuple[int, ...]) -> None:
    bad = {
        "note": ("label:", "intent: [x]\nlabel:"),
        "loss": ("    type: File\n", "    type: File\n    loadContents: true\n"),
        "failure": ("{position: 1}", "{position: $(self)}"),
    }
    given = ["--level", level] if level else []
    for (name, (old, new)), code in zip(bad.items(), codes, strict=True):
        path = tmp_path / f"{name}.cwl"
        path.write_text(TOOL.replace(old, new, 1))
        done = skyport_lint("--cwl", str(path), *given)
        assert (done.returncode, f": {name}: " in done.stdout) == (code, name != "note" or level == "note")
        (told,) = json.loads(skyport_lint("--json", "--cwl", str(path), *given).stdout)["findings"]
        assert told["level"] == name
        quiet = skyport_lint("--quiet", "--cwl", str(path), *given)
        assert (quiet.returncode, quiet.stdout == "") == (code, code == 0)


@pytest.mark.slow
def test_the_documents_of_the_project_are_clean() -> None:
    root = Path(__file__).parents[3]
    documents = [*root.glob("workflows/**/*.cwl"), *root.glob("examples/*/*.cwl")]
    assert len(documents) > 10
    done = skyport_lint("--quiet", "--cwl", *map(str, documents))
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.slow
def test_files_that_are_no_documents(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.cwl")
    with (tmp_path / "large.cwl").open("wb") as file:
        file.truncate(1 << 40)
    for name, message in {
        str(tmp_path / "pipe.cwl"): "it is a device or pipe",
        "/dev/zero": "it is a device or pipe",
        str(tmp_path): "Is a directory",
        str(tmp_path / "large.cwl"): "it has more than 4 MiB",
    }.items():
        done = skyport_lint("--cwl", name)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"cannot read {name}: {message}" in done.stderr


@pytest.mark.slow
def test_the_command_with_a_file_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "broken.cwl").write_text("a: [\n")
    (tmp_path / "bytes.cwl").write_bytes(b"\xff\xfe\x00")
    for name, message in {
        "none.cwl": "No such file",
        "broken.cwl": "not valid YAML",
        "bytes.cwl": "bytes.cwl, line 1: not UTF-8. Save it as UTF-8 text.",
    }.items():
        done = skyport_lint("--cwl", str(tmp_path / name))
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert name in done.stderr
    assert skyport_lint("--cwl").returncode == 2
