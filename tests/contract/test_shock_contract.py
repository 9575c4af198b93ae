import copy

import pytest

from tests.support.shock_replay import SCENARIOS, Replay


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["scenario"])
def test_answers_as_shock_does(scenario, shock):
    assert Replay(shock.session, shock.url).differences(scenario["calls"]) == []
    assert list(shock.files) == []


def test_all_seventeen_scenarios_are_there():
    assert len(SCENARIOS) == 17
    assert sum(len(scenario["calls"]) for scenario in SCENARIOS) > 150


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        (lambda answer: answer.update(http=418), "HTTP"),
        (lambda answer: answer["body"]["data"]["attributes"].update(tag="other"), "attributes.tag"),
        (lambda answer: answer["body"]["data"].pop("priority"), "keys"),
        (lambda answer: answer["body"]["data"].update(created_on="0001-01-01T00:00:00Z"), "created_on"),
        (lambda answer: answer["body"]["data"].update(version="<id 1>"), "version"),
    ],
)
def test_the_replay_notices_a_difference(change, noticed, shock):
    calls = copy.deepcopy(SCENARIOS[0]["calls"])
    change(calls[0]["answer"])
    found = Replay(shock.session, shock.url).differences(calls)
    assert found
    assert noticed in found[0]
