"""Each thing that AWE rejects or loses in a CWL document: found, with its line and the reason."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from skyport_wf.image_list.yaml_document import parse_yaml
from skyport_wf.lint.cwl import lint_cwl
from tests.support.commands import SKYPORT

TOOL = """\
cwlVersion: v1.0
class: CommandLineTool
label: says $(inputs.text) twice
doc: |
  Any text, $(even this).
requirements:
  EnvVarRequirement:
    envDef:
      TEXT: $(inputs.text)
  ResourceRequirement:
    coresMin: 1
hints:
  cwltool:WorkReuse: {enableReuse: false}
  NoSuchRequirement: {}
  DockerRequirement: {dockerLoad: "http://127.0.0.1/node/1?download", dockerImageId: "sha256:0"}
baseCommand: [sh, -c, 'echo "$(date)"']
inputs:
  text:
    type: string
    default: a $(literal)
    inputBinding: {position: 1}
  file:
    type: File
    secondaryFiles: [.bai, ^.dict]
    inputBinding: {valueFrom: $(self.basename), loadContents: true}
outputs:
  said: stdout
  log: {type: File, outputBinding: {glob: $(inputs.text)}}
"""
WORKFLOW = """\
cwlVersion: v1.0
class: Workflow
requirements: [{class: ScatterFeatureRequirement}]
inputs: {texts: "string[]"}
steps:
  say:
    run: tool.cwl
    scatter: text
    scatterMethod: flat_crossproduct
    in:
      text: texts
    out: [said]
outputs:
  all:
    type: File[]
    outputSource: say/said
"""


def findings(text: str, *, packed: bool = False) -> list[tuple[int, str]]:
    """Return line and message of each finding."""
    found = lint_cwl(parse_yaml(text, name="x.cwl"), packed=packed)
    return [(finding.line, finding.message) for finding in found]


def line_of(text: str, part: str) -> int:
    return next(number for number, line in enumerate(text.splitlines(), 1) if part in line)


@pytest.mark.parametrize("text", [TOOL, WORKFLOW], ids=["tool", "workflow"])
def test_finds_nothing_in_what_awe_takes(text: str) -> None:
    assert findings(text) == []
    assert findings(json.dumps(yaml.safe_load(text), indent=4)) == []


# Each: what of the document is replaced, by what, the part whose line is told, and the reason.
COUNTER_EXAMPLES = {
    "unknown class": (TOOL, "  ResourceRequirement:\n    coresMin: 1", "  WorkReuse: {enableReuse: false}", "WorkReuse",
        "AWE does not know the class `WorkReuse`, and so drops all requirements and hints of this process"),
    "unknown class of a list": (WORKFLOW, "[{class: ScatterFeatureRequirement}]", "[{class: cwltool:Secrets}]",
        "cwltool:Secrets", "AWE does not know the class `cwltool:Secrets`"),
    "network access": (TOOL, "  ResourceRequirement:\n    coresMin: 1", "  NetworkAccess: {networkAccess: true}",
        "NetworkAccess", "`NetworkAccess` is of v1.1 and fails validation"),
    "Shock requirement": (TOOL, "  ResourceRequirement:\n    coresMin: 1", "  ShockRequirement: {shock_api_url: x}",
        "ShockRequirement", "`ShockRequirement` is added by AWE's submitter"),
    "resources in parts": (TOOL, "coresMin: 1", "coresMin: 0.5", "coresMin", "AWE takes whole numbers only"),
    "doc list": (TOOL, "doc: |\n  Any text, $(even this).", "doc: [Any, text]", "doc:",
        "AWE rejects a `doc` that is a list"),
    "doc list of an input": (TOOL, "    type: string", "    doc: [Any, text]\n    type: string", "doc: [Any",
        "AWE rejects a `doc` that is a list"),
    "doc of an output": (TOOL, "log: {type: File,", "log: {type: File, doc: lost,", "doc: lost",
        "AWE loses the `doc` of an output"),
    "text around an expression": (TOOL, "TEXT: $(inputs.text)", "TEXT: a-$(inputs.text)", "TEXT:",
        "AWE loses what stands around the expression in 'a-$(inputs.text)'"),
    "two expressions": (TOOL, "glob: $(inputs.text)", "glob: $(inputs.text)$(inputs.text)", "glob",
        "AWE loses what stands around the expression"),
    "JavaScript": (TOOL, "glob: $(inputs.text)", "glob: $(inputs.text + 1)", "glob", "is more than a reference"),
    "JavaScript body": (TOOL, "TEXT: $(inputs.text)", "TEXT: '${return inputs.text}'", "TEXT:", "and no JavaScript"),
    "runtime": (TOOL, "TEXT: $(inputs.text)", "TEXT: $(runtime.outdir)", "TEXT:", "is more than a reference"),
    "position": (TOOL, "{position: 1}", "{position: $(self)}", "position",
        "AWE rejects a `position` that is an expression"),
    "secondary file object": (TOOL, "[.bai, ^.dict]", "[{pattern: .bai}]", "secondaryFiles",
        "AWE rejects `secondaryFiles` that are objects"),
    "one secondary file object": (TOOL, "[.bai, ^.dict]", "{pattern: .bai}", "secondaryFiles",
        "AWE rejects `secondaryFiles` that are objects"),
    "contents of an input": (TOOL, "    type: File\n", "    type: File\n    loadContents: true\n", "    loadContents",
        "`loadContents` is of v1.1"),
    "listing of an input": (TOOL, "    type: File\n", "    type: File\n    loadListing: no_listing\n", "loadListing",
        "`loadListing` is of v1.1"),
    "version": (TOOL, "cwlVersion: v1.0", "cwlVersion: v1.2", "cwlVersion",
        "the version is v1.2, AWE's workers need `v1.0`"),
    "no version": (TOOL, "cwlVersion: v1.0\n", "", "class:", "the version is missing"),
    "intent": (TOOL, "label:", "intent: [x]\nlabel:", "intent", "`intent` is of v1.2"),
    "step requirements": (WORKFLOW, "    run: tool.cwl", "    requirements: []\n    run: tool.cwl", "    requirements",
        "AWE rejects `requirements` on a workflow's step"),
    "when": (WORKFLOW, "    run: tool.cwl", "    when: $(inputs.text)\n    run: tool.cwl", "when",
        "`when` is of v1.2; AWE loses it without a word and runs the step always"),
    "pickValue of an output": (WORKFLOW, "    outputSource:", "    pickValue: all_non_null\n    outputSource:",
        "pickValue", "`pickValue` is of v1.2"),
    "pickValue of a step": (WORKFLOW, "text: texts", "text: {source: texts, pickValue: all_non_null}", "pickValue",
        "`pickValue` is of v1.2"),
    "nested crossproduct": (WORKFLOW, "flat_crossproduct", "nested_crossproduct", "nested_crossproduct",
        "AWE suspends the job at `nested_crossproduct`"),
    "in a step's own tool": (WORKFLOW, "run: tool.cwl",
        "run: {class: CommandLineTool, requirements: {WorkReuse: {}}, inputs: [], outputs: []}", "run:",
        "AWE does not know the class `WorkReuse`"),
    "packed without a graph": (WORKFLOW, "class: Workflow", "class: Workflow\nid: '#main'", "cwlVersion",
        "the packed document has no `$graph`"),
}  # fmt: skip


@pytest.mark.parametrize("example", COUNTER_EXAMPLES.values(), ids=COUNTER_EXAMPLES.keys())
def test_finds_what_awe_does_not_take(example: tuple[str, str, str, str, str]) -> None:
    good, old, new, where, reason = example
    assert good.count(old) == 1
    text = good.replace(old, new)
    ((line, message),) = findings(text)
    assert line == line_of(text, where)
    assert reason in message


@pytest.mark.parametrize("example", COUNTER_EXAMPLES.values(), ids=COUNTER_EXAMPLES.keys())
def test_finds_it_in_a_graph_too(example: tuple[str, str, str, str, str]) -> None:
    good, old, new, _, reason = example
    process = as_packed(yaml.safe_load(good.replace(old, new)))
    version = process.pop("cwlVersion", None)
    document = {"$graph": [{"class": "ExpressionTool", "id": "#tool.cwl"}, process]} | (
        {"cwlVersion": version} if version else {}
    )
    found = findings(json.dumps(document, indent=4), packed=True)
    if "$graph" in reason:
        assert found == []
        return
    ((line, message),) = found
    assert reason in message
    assert line > 5 or "version" in reason or "document" in reason


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
    assert message in findings(text, packed=True)[0][1]


@pytest.mark.parametrize(
    "text", ["just text\n", "[1, 2]\n", "a: 1\n", "$graph: text\ncwlVersion: v1.0\n", "class: [1]\n1: 2\n"]
)
def test_what_is_no_document_is_a_finding_too(text: str) -> None:
    assert findings(text)


def test_odd_shapes_are_no_crash() -> None:
    odd = "class: Workflow\ncwlVersion: v1.0\ninputs: 1\noutputs: [x, 2]\nrequirements: [x, {}]\n"
    odd += "steps: {a: b, c: {in: [1], run: 3}}\n"
    assert {"AWE does not know the class"} == {message[:27] for _, message in findings(odd)}


def skyport_lint(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [SKYPORT, "lint", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_command_tells_file_line_and_reason(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.cwl", tmp_path / "bad.cwl"
    good.write_text(TOOL)
    bad.write_text(TOOL.replace("{position: 1}", "{position: $(self)}"))
    assert skyport_lint("--cwl", str(good)).returncode == 0

    done = skyport_lint("--cwl", str(good), str(bad))
    assert done.returncode == 3
    line = line_of(bad.read_text(), "position")
    path = "inputs.text.inputBinding.position"
    assert done.stdout == f"{bad}:{line}: {path}: AWE rejects a `position` that is an expression\n"

    told = json.loads(skyport_lint("--cwl", str(bad), "--json").stdout)
    assert [(one["file"], one["line"], one["where"]) for one in told["findings"]] == [(str(bad), line, path)]


def test_the_command_with_a_file_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "broken.cwl").write_text("a: [\n")
    (tmp_path / "bytes.cwl").write_bytes(b"\xff\xfe\x00")
    for name, message in {
        "none.cwl": "No such file",
        "broken.cwl": "not valid YAML",
        "bytes.cwl": "cannot read",
    }.items():
        done = skyport_lint("--cwl", str(tmp_path / name))
        assert (done.returncode, done.stdout) == (2, "")
        assert message in done.stderr
        assert name in done.stderr
    assert skyport_lint("--cwl").returncode == 2
