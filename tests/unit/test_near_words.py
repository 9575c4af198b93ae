import pytest

from skyport_wf.near_words import near_words


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("pblish", ["publish", "pull"], ["publish"]),
        ("LS", ["ls", "lock"], ["ls"]),
        ("Lab/A", ["lab/b", "lab/a"], ["lab/a"]),
        ("lab/a", ["Lab/b", "LAB/A"], ["LAB/A"]),
        # Of one spelling, that which differs in fewest letters.
        ("lab/tool:RC", ["lab/tool:rc", "lab/tool:Rc", "lab/tool:rC1"], ["lab/tool:Rc"]),
        ("enf", ["env", "end_of_all"], ["env"]),
        ("tga", ["tag"], ["tag"]),
        ("tool", ["tool.tar"], ["tool.tar"]),
        ("date", ["state", "size"], []),
        ("token", ["token_env"], ["token_env"]),
        # Of those that are equally like it, that which begins like it.
        ("lab/tool1", ["lab/tool1:1.1", "lab/tool2:1.1", "lab/tool3:1.1"], ["lab/tool1:1.1"]),
        ("lab/tool1.1", ["lab/tool1:1", "lab/tool2:1", "lab/tool3:1"], ["lab/tool1:1"]),
        ("zzz", ["publish"], []),
        ("x", [], []),
        ("", ["publish"], []),
    ],
)
def test_the_nearest_word_whatever_its_case(word: str, known: list[str], near: list[str]) -> None:
    assert near_words(word, known) == near


def test_several_the_nearest_first() -> None:
    known = ["lab/tools:1", "LAB/TOOL:1", "lab/tool:1", "other:1"]
    assert near_words("lab/tool:1", known, most=3) == ["lab/tool:1", "LAB/TOOL:1", "lab/tools:1"]
    assert near_words("lab/tool:1", known, most=2) == ["lab/tool:1", "LAB/TOOL:1"]


def test_how_like_they_have_to_be() -> None:
    assert near_words("x.sh", ["scripts/x.sh"], least=0.3) == ["scripts/x.sh"]
    assert near_words("abcd", ["abxy"]) == []
    assert near_words("abcd", ["abxy"], least=0.5) == ["abxy"]


def test_a_word_of_any_length_is_compared_as_soon() -> None:
    assert near_words("x" * 10_000_000, ["y" * 100, "x" * 150]) == ["x" * 150]
