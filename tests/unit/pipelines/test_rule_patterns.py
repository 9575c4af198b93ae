"""The regular expressions by which rules of several lists tell their images apart."""

import re

from hypothesis import given
from hypothesis import strategies as st

from skyport_wf.pipelines.patterns import match_any

KEYS = st.text("ab.-_1", min_size=1, max_size=6)


@given(st.sets(KEYS, min_size=1), KEYS)
def test_it_matches_the_words_and_no_other(words, other):
    pattern = re.compile(match_any(sorted(words)))
    assert all(pattern.fullmatch(word) for word in words)
    assert bool(pattern.fullmatch(other)) == (other in words)


def test_what_many_names_share_is_in_it_once():
    keys = [f"my-lab_tool_{number}" for number in range(1000)]
    assert match_any(keys).count("tool") == 1
    assert match_any([]) == ""
