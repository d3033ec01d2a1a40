import json
from pathlib import Path

import pytest

from features.errors import SettingsError
from tests.paths import REPO
from training.settings import RANGES, TrainSettings


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


def written(folder: Path, text: str) -> Path:
    path = folder / "tuned.toml"
    path.write_text(text)
    return path


def test_a_file_says_what_is_not_the_default(tmp_path: Path) -> None:
    path = written(tmp_path, "[settings]\nleaves = 31\ndropout = 0\n[tuned]\ntrials = 12\n")
    found = TrainSettings.from_file(path)
    assert found == TrainSettings(leaves=31, dropout=0.0)
    assert isinstance(found.dropout, float)
    assert TrainSettings.from_file(written(tmp_path, "[settings]\n")) == TrainSettings()


def test_all_settings_that_change_models_may_stand_in_a_file(tmp_path: Path) -> None:
    settings = TrainSettings().to_dict()
    assert set(settings) - set(RANGES) == {"seed", "threads"}
    lines = [f"{name} = {settings[name]}" for name in RANGES]
    assert TrainSettings.from_file(written(tmp_path, "\n".join(["[settings]", *lines]))) == TrainSettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[settings]\nleafs = 3", r"unknown setting 'leafs'; choose from dates, "),
        ("[settings]\nseed = 3", r"unknown setting 'seed'; choose from"),
        ("leaves = 3\n[settings]", r"unknown key 'leaves'; settings stand below \[settings\]"),
        ("[tuned]", r"has no section \[settings\]"),
        ("settings = 3", r"has no section \[settings\]"),
        ("[settings]\nleaves = 3.0", r"leaves is 3.0; give a whole number from 2 to 10000"),
        ("[settings]\nleaves = true", r"leaves is True; give a whole number"),
        ("[settings]\ndropout = 'x'", r"dropout is 'x'; give a number from 0 to 0.99"),
        ("[settings]\ndropout = 1", r"dropout is 1; give a value from 0 to 0.99"),
        ("[settings]\ndropout = nan", r"dropout is nan; give a value from"),
        ("[settings]\ngroups = 1", r"groups is 1; give a value from 2 to 100"),
        ("[settings", r"is not valid TOML: .*; correct that line"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"tuned.toml.*{message}"):
        TrainSettings.from_file(written(tmp_path, text))


def test_a_missing_file_is_refused_with_the_command_that_writes_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no settings file at .*none.toml; write one with `koc tune --out .*none.toml`"):
        TrainSettings.from_file(tmp_path / "none.toml")


def test_every_setting_of_a_file_is_in_the_docs() -> None:
    page = (REPO / "docs" / "dataset.md").read_text(encoding="utf-8").split("\n## Training settings\n")[1]
    table = page.split("\n## ")[0]
    rows = {line.split("`")[1]: line.split("|") for line in table.splitlines() if line.startswith("| `")}
    assert list(rows) == list(RANGES)
    for name, cells in rows.items():
        assert float(cells[2]) == getattr(TrainSettings(), name), name
