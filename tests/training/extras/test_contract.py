"""What every extra model must do, and how they lie in a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest

from features.errors import BundleError
from features.snapshot import Snapshot
from serving.scores import score_users, user_facts
from tests.worlds import day, world
from training.extras.all import EXTRAS
from training.extras.contract import Extra, ExtraModel, Extras, Skipped, fit_extras, load_extras
from training.frame import Frame
from training.hybrid import Said
from training.matrix import Floats
from training.settings import TrainSettings
from training.timeline import Timeline


@dataclass(frozen=True)
class Luck:
    number: float

    def score(self, snapshot: Snapshot, frame: Frame) -> Mapping[str, Floats]:
        assert snapshot.as_of == day(10)
        return {"luck": np.array([self.number, *[np.nan] * (len(frame.users) - 1)])}

    def report(self) -> Mapping[str, float]:
        return {"odds": self.number}

    def files(self) -> Mapping[str, str]:
        return {"model.json": str(self.number)}


def load_luck(files: Mapping[str, str]) -> ExtraModel:
    return Luck(float(files["model.json"]))


LUCK = Extra("luck", lambda *_: Luck(7.0), load_luck)
THIN = Extra("thin", lambda *_: Skipped("it needs tea"), load_luck)


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    orders = [{"user_id": user, "ordered_at": day(at), "item_id": "tea"} for user, at in [("ada", 1), ("ben", 2)]]
    return Timeline(world(orders=orders, until=day(10)))


def test_models_are_kept_and_the_reasons_why_others_are_not(timeline: Timeline) -> None:
    told: list[str] = []
    extras = fit_extras([LUCK, THIN], timeline, [], day(10), TrainSettings(), told.append)
    assert (extras.models, extras.skipped) == ({"luck": Luck(7.0)}, {"thin": "it needs tea"})
    assert told == ["extra model: luck", "extra model: thin"]


def test_files_lie_in_a_folder_of_each_model_and_come_back() -> None:
    files = Extras({"luck": Luck(3.0)}).files()
    assert files == {"extras/luck/model.json": "3.0"}
    assert load_extras([THIN, LUCK], {**files, "gnn.json": "{}"}).models == {"luck": Luck(3.0)}


def test_an_extra_model_of_another_version_is_refused() -> None:
    with pytest.raises(BundleError, match="holds the extra model 'luck', which this version does not know; train again"):
        load_extras([THIN], {"extras/luck/model.json": "3.0"})


def test_columns_stand_with_their_users_and_nothing_is_null(timeline: Timeline) -> None:
    frame, snapshot = timeline.frame(day(10)), timeline.snapshot(day(10))
    columns = Extras({"luck": Luck(7.0)}).score(snapshot, frame)
    hybrid = type("Silent", (), {})()
    said = Said({}, None, np.array([0.1, 0.9]))
    found = score_users(hybrid, frame, said, user_facts(frame, snapshot), columns)
    assert dict(zip(found["user_id"].to_pylist(), found["luck"].to_pylist(), strict=True)) == {"ada": 7.0, "ben": None}
    # Ben is likelier to leave and comes first.
    assert found["user_id"].to_pylist() == ["ben", "ada"]


def test_every_kind_is_skipped_with_a_reason_where_its_tables_are_absent(timeline: Timeline) -> None:
    extras = fit_extras(EXTRAS, timeline, [], day(10), TrainSettings())
    assert extras.models == {}
    assert {*extras.skipped} == {kind.name for kind in EXTRAS}
    assert all(len(reason) > 20 for reason in extras.skipped.values())


def test_names_of_kinds_are_folders() -> None:
    names = [kind.name for kind in EXTRAS]
    assert len(names) == len({*names})
    assert all(name.isidentifier() for name in names)
