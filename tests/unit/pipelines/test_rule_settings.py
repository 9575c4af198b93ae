import json
import re
from pathlib import Path

import msgspec
import pytest

from skyport_wf.cli.arguments import image_list
from skyport_wf.errors import UsageError
from skyport_wf.pipelines.settings import RuleSettings, read_settings
from tests.support.commands import CHECKOUT


def test_the_schema_is_that_of_the_settings():
    schema = json.loads((CHECKOUT / "rules/config.schema.json").read_text())
    assert schema == msgspec.json.schema(RuleSettings), "write what msgspec.json.schema(RuleSettings) returns there"


@pytest.mark.parametrize(
    ("config", "whole", "images"),
    [
        ({}, True, None),
        ({"images": "a.yaml"}, True, "a.yaml"),
        ({"images": "a.yaml"}, False, None),
        ({"images": "a.yaml", "skyport": {"images": "b.yaml"}}, True, "b.yaml"),
        ({"images": "a.yaml", "skyport": {"images": "b.yaml"}}, False, "b.yaml"),
        ({"skyport": None}, False, None),
        ({"skyport": {"images": Path("c.yaml")}}, False, "c.yaml"),
        ({"pathvars": {"results": "<top>/out", "top": "a"}}, True, None),
        ({"pathvars": {"reslts": "out"}}, False, None),
    ],
)
def test_only_what_is_ours_is_looked_at(config, whole, images):
    assert read_settings(config, whole=whole).images == images


def test_no_rule_goes_to_a_cluster_unasked():
    texts = [path.read_text() for path in (CHECKOUT / "rules").rglob("*.smk")]
    rules = [rule for text in texts for rule in re.split(r"(?m)^ *rule (?=\w+:$)", text)[1:]]
    local = ("localrule: True", "localrule: _skyport.settings.is_local")
    assert [rule for rule in rules if "shell:" in rule and not any(one in rule for one in local)] == []
    assert len(rules) > len(texts)


@pytest.mark.parametrize("conda", [None, False])
def test_no_environment_is_written_as_false_or_as_nothing(conda):
    assert not read_settings({"skyport": {"conda": conda}}, whole=False).conda


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        ({"cluster": "true", "conda": "false"}, {"cluster": True, "conda": False}),
        ({"cluster": "False", "conda": "True"}, {"cluster": False, "conda": True}),
        ({"cluster": "yes", "conda": "no"}, {"cluster": True, "conda": False}),
        ({"cluster": "Off", "conda": "ON", "lock": "no"}, {"cluster": False, "conda": True, "lock": "no"}),
        ({"cluster": "FALSE", "conda": "None"}, {"cluster": False, "conda": None}),
        ({"conda": "true.yaml", "images": "true", "lock": "False"},) * 2,
        (
            {"images": "null", "lock": "~", "lint_level": "None", "conda": "null"},
            {"images": None, "lock": None, "lint_level": None, "conda": None},
        ),
        ({"lint_level": "none", "steps": "stream", "conda": "lab"},) * 2,
    ],
)
def test_snakemake_makes_texts_of_what_its_command_line_and_profiles_say(texts, values):
    settings = read_settings({"skyport": texts}, whole=False)
    assert {name: getattr(settings, name) for name in texts} == values
    assert settings == read_settings(values, whole=True)


@pytest.mark.parametrize("nothing", ["null", "None"])
def test_a_section_that_is_nothing_may_be_a_text(nothing):
    assert read_settings({"skyport": nothing}, whole=False) == RuleSettings()


@pytest.mark.parametrize(
    ("images", "found", "lock"),
    [
        ("images.yaml", "../images.yml", "../images.lock.json"),
        ("./c", "c/images.yaml", "c/images.lock.json"),
        ("../none.yaml", "../none.yaml", "../images.lock.json"),
    ],
)
def test_the_list_is_found_as_the_command_line_finds_it(tmp_path, monkeypatch, images, found, lock):
    (tmp_path / "work/c").mkdir(parents=True)
    (tmp_path / "images.yml").write_text("")
    monkeypatch.chdir(tmp_path / "work")
    settings = read_settings({"images": images}, whole=True)
    assert (settings.list_file, settings.lock_file) == (found, lock)
    assert image_list(images) == Path(found)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "there is \\[\\], and settings are expected: images, lock"),
        ({"imags": "x"}, "there is no setting `imags`; did you mean `images`\\? There are: images, lock"),
        ({1: "x"}, "there is no setting `1`"),
        ({"images": ["x"]}, "`images`: expected text, got a list\\."),
        ({"images": ""}, "`images` is ''\\. Give a file or a folder, or leave it out\\."),
        ({"conda": ""}, "`conda` is ''\\. Give a file, a name, true or false, or leave it out\\."),
        ({"conda": ["x"]}, "`conda`: expected a file, a name, true or false, got a list\\."),
        ({"lock": "{x}"}, "`lock` is '{x}'"),
        ({"lock": "a\0b"}, r"`lock` is 'a\\x00b'\. Name a file without NUL, and names of more than 255 bytes"),
        ({"images": "a\0b"}, r"`images` is 'a\\x00b'\. Name a file without NUL"),
        ({"images": f"{'ä' * 128}/images.yaml"}, "`images` is 'ä.*'\\. Name a file without NUL, and names of"),
        ({"cluster": "maybe"}, "`cluster`: expected true or false, got text\\."),
        ({"cluster": "None"}, "`cluster`: expected true or false, got text\\."),
        ({"pathvars": {"results": "out"}}, "Snakemake does not read `pathvars` there\\. Write `pathvars:` in"),
        ({"pathvar": {}}, "there is no setting `pathvar`.* There are: images, .*, cluster\\.$"),
        ({"steps": "two"}, "`steps`: there is no 'two'; it takes each, stream\\."),
        ({"lint_level": 5}, "there is no 5; it takes error"),
        ({"steps": None}, "`steps`: it has no value; it takes each, stream\\."),
    ],
)
def test_what_makes_no_sense_is_one_sentence(given, message):
    with pytest.raises(UsageError, match=message) as caught:
        read_settings({"skyport": given}, whole=False)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("config, below `skyport`: ")


@pytest.mark.parametrize("given", [5, True, "skyport.yaml", ["skyport"]])
def test_a_config_that_holds_no_settings_is_one_sentence(given):
    with pytest.raises(UsageError, match=r"^config of the skyport-wf module: there is .*, and settings are expected"):
        read_settings(given, whole=True)


@pytest.mark.parametrize(
    ("pathvars", "message"),
    [
        ({"reslts": "a"}, "no rule has the pathvar `reslts`; did you mean `results`\\? There are: results, logs"),
        ({"resources": "a", "logs": "b"}, "no rule has the pathvar `resources`"),
        ({"logs": 5}, "`pathvars`: expected text, got a whole number"),
    ],
)
def test_pathvars_of_a_module_are_those_that_the_rules_have(pathvars, message):
    with pytest.raises(UsageError, match=f"^config of the skyport-wf module: {message}"):
        read_settings({"pathvars": pathvars}, whole=True)
