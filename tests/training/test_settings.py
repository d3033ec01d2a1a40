import json

import pytest

from training.settings import TrainSettings


def test_every_setting_is_logged_under_its_name() -> None:
    settings = TrainSettings(rounds=7, seed=3)
    assert TrainSettings(**json.loads(json.dumps(settings.to_dict()))) == settings


@pytest.mark.parametrize(("name", "parameter"), [("leaves", "num_leaves"), ("learning_rate", "learning_rate")])
def test_settings_reach_lightgbm(name: str, parameter: str) -> None:
    assert TrainSettings(**{name: 9}).lightgbm(0)[parameter] == 9


def test_the_objective_and_the_seed_are_the_callers() -> None:
    given = TrainSettings(seed=5).lightgbm(11, objective="binary")
    assert (given["objective"], given["seed"]) == ("binary", 11)
    # One thread and no choice by speed: the same rows give the same model on a busy machine too.
    assert (given["num_threads"], given["deterministic"], given["force_col_wise"]) == (1, True, True)
