"""What a pipeline has of its own, beside the rules: its names, files, settings, containers and shell."""

import os
from pathlib import Path

import pytest

from tests.support.pipeline import INCLUDE, OWN, Pipeline, module, steps, write_images

pytestmark = pytest.mark.slow


@pytest.fixture
def deployment(tmp_path: Path) -> str:
    """Return a PATH with a conda and an apptainer that Snakemake finds, and that can make no environment."""
    folder = tmp_path / "bin"
    folder.mkdir()
    versions = {"conda": "conda 25.1.0", "singularity": "apptainer version 1.4.5"}
    for name, version in versions.items():
        (folder / name).write_text(
            "#!/bin/bash\ncase $1 in\n--version) echo '" + version + "' ;;\n"
            """info) echo '{"conda_prefix": "/nowhere", "platform": "linux-64"}' ;;\n"""
            """config) echo '{"get": {"channel_priority": "strict"}}' ;;\n*) exit 9 ;;\nesac\n"""
        )
        (folder / name).chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def test_included_rules_leave_the_pipeline_alone(pipeline: Pipeline, deployment: str) -> None:
    (pipeline.folder / "data.tsv").write_text("precious\n")
    (pipeline.folder / "samples.json").write_text("precious, too\n")
    pipeline.write_snakefile(
        'container: "docker://nowhere.example/x:1"\njson = plan = "mine"\nbefore = {*globals()}\n',
        INCLUDE,
        INCLUDE,
        'include: skyport_wf.snakefile("show")\ninclude: skyport_wf.snakefile("lint")\n',
        'assert json == plan == "mine"\n'
        'new = {name for name in globals() if not name.startswith("__")} - before - {"before"}\n'
        'assert new == {"_skyport", "_skyport_open"}, new\n',
        'rule mine:\n    output: "own.txt"\n    container: None\n    shell: "touch {output}"\n',
        config="images: data.tsv\nlock: samples.json\nlint_level: none\nconda: my.yaml\nresults: elsewhere\n",
    )
    deploy = ("--software-deployment-method", "conda", "apptainer", "--")

    assert pipeline.snakemake(*deploy, PATH=deployment) == {"mine"}
    ran = pipeline.snakemake(*deploy, "publish_all", "show_all", "lint_all", PATH=deployment)

    assert ran >= steps("x", "y") | {"show_image x", "lint_image y", "lock_images", "publish_all", "show_all"}
    assert (pipeline.folder / "data.tsv").read_text() == "precious\n"
    assert (pipeline.folder / "samples.json").read_text() == "precious, too\n"
    assert pipeline.do("verify")["images"]
    made = {path.name for path in pipeline.folder.iterdir()}
    assert made - {"Snakefile", "config.yaml", "data.tsv", "samples.json", "images.yaml", "store", ".snakemake"} == {
        *("lab_x_1.tar", "lab_y_1.tar", "own.txt", "images.lock.json", "results", "logs", "benchmarks")
    }
    assert [path.name for path in (pipeline.folder / "results").iterdir()] == ["skyport"]


@pytest.mark.parametrize(("conda", "files"), [("", ["env.yaml"]), ('"conda": "ours.yaml"', ["env.yaml", "ours.yaml"])])
def test_a_pipeline_is_put_into_a_container_and_linted_with_the_rules_in_it(
    pipeline: Pipeline, deployment: str, conda: str, files: list[str]
) -> None:
    for name in ("env.yaml", "ours.yaml"):
        (pipeline.folder / name).write_text(f"dependencies: [samtools=1.20] # {name}\n")
    mine = OWN.format(inputs="").replace("container: None", 'conda: "env.yaml"\n    log: "own.log"')
    pipeline.write_snakefile(module("a", rules="show", config=f"{{{conda}}}"), module("b", rules="lint"), mine)
    done = pipeline.run_snakemake("--containerize", PATH=deployment)
    assert done.code == 0, done.log
    assert [line.rpartition(" ")[2] for line in done.out.splitlines() if "source: " in line] == files
    linted = pipeline.run_snakemake("--lint", PATH=deployment)
    said = linted.out + linted.log
    assert "image" not in said, "no lint is about a rule of ours"
    assert ".smk" not in said, "nor about a file of ours"


@pytest.mark.parametrize(("suffix", "of"), [(".gz", ""), (".tar", ".tar.gz"), (".sif", ".tar")])
def test_rules_of_the_pipeline_that_convert_any_file(pipeline: Pipeline, suffix: str, of: str) -> None:
    """None makes a file of ours out of another of ours, so that Snakemake need not choose; and each works."""
    write_images(pipeline.folder, "lab/x:1")
    pipeline.write_snakefile(
        module("a"),
        f'rule convert:\n    input: "results/{{name}}{of}"\n    output: "results/{{name}}{suffix}"\n'
        '    shell: "cp {input} {output}"\n',
        f'rule mine:\n    output: "results/mine{of}"\n    shell: "touch {{output}}"\n',
    )
    own = f"results/mine{suffix}"
    for asked in (("a_publish_all", own), ("--dry-run", "a_publish_all", "results/skyport/lab_x_1/image.sif")):
        done = pipeline.run_snakemake(*asked)
        assert done.code == 0, done.out + done.log
    assert (pipeline.folder / own).exists()


SHELLS = ["", 'shell.prefix("export LAB_TMP=/tmp; ")\n', 'shell.executable("/bin/sh")\n']


@pytest.mark.parametrize("shell", SHELLS)
def test_findings_fail_in_the_shell_of_the_pipeline(pipeline: Pipeline, shell: str) -> None:
    """With another shell than bash, or a prefix, Snakemake leaves its options out."""
    (pipeline.folder / "tool").mkdir()
    dockerfile = pipeline.folder / "tool/Dockerfile"
    dockerfile.write_text("FROM debian:12\nRUN git clone https://x.test/a\n")
    pipeline.write_list("name: 'lab/x:1', dockerfile: tool/Dockerfile", shock="url: embedded")
    pipeline.write_snakefile(shell, module("a", rules="lint"))
    failed = pipeline.run_snakemake("a_lint_all")
    assert failed.code == 1
    finding = "tool/Dockerfile:2: warning SKY021:"
    assert finding in failed.out + failed.log
    assert finding in (pipeline.folder / "logs/skyport/lab_x_1/lint.log").read_text()
    assert "bad trap" not in failed.log
    pipeline.write_snakefile(shell, module("a", rules="lint", config='{"lint_level": "none"}'))
    passed = pipeline.run_snakemake("a_lint_all")
    assert (passed.code, finding in passed.out + passed.log) == (0, True)


@pytest.mark.parametrize("shell", SHELLS[1:])
def test_images_are_published_in_the_shell_of_the_pipeline(pipeline: Pipeline, shell: str) -> None:
    pipeline.write_snakefile(shell, module("a", rules="show"))
    assert pipeline.snakemake("a_show_all") >= steps("x", "y", prefix="a_") | {"a_show_image x", "a_list_images"}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_killed_step_says_so_however_quiet_snakemake_is(pipeline: Pipeline, tmp_path: Path, shell: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/skyport-wf").write_text("#!/bin/bash\nkill -9 $$\n")
    (tmp_path / "bin/skyport-wf").chmod(0o755)
    pipeline.write_snakefile(shell, module("a"))
    failed = pipeline.run_snakemake(
        "--quiet", "all", "--", "a_publish_all", PATH=f"{tmp_path}/bin:{os.environ['PATH']}"
    )
    assert failed.code == 1
    assert "skyport-wf: killed by signal 9: skyport-wf build lab/x:1 " in failed.log


def test_a_killed_apptainer_says_so_however_quiet_snakemake_is(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/apptainer").write_text("#!/bin/bash\necho building\nkill -9 $$\n")
    (tmp_path / "bin/apptainer").chmod(0o755)
    pipeline.write_snakefile(module("a"))
    sif = "results/skyport/lab_x_1/image.sif"
    arguments, path = ("--quiet", "all", "--", sif), f"{tmp_path}/bin:{os.environ['PATH']}"
    failed = pipeline.run_snakemake(*arguments, PATH=path)
    assert failed.code == 1
    assert "building\n" in failed.log
    assert f"skyport-wf: killed by signal 9: {tmp_path}/bin/apptainer build --force {sif} " in failed.log

    # So apptainer ends by itself when it fails.
    (tmp_path / "bin/apptainer").write_text("#!/bin/bash\necho 'FATAL: no space left' >&2\nexit 255\n")
    failed = pipeline.run_snakemake(*arguments, PATH=path)
    assert failed.code == 1
    assert "FATAL: no space left\n" in failed.log
    assert "killed by signal" not in failed.log
