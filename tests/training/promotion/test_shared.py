import json
from datetime import datetime
from typing import Any

import pytest

from features.errors import TrackingError
from tests.training.judged import recipe
from tests.worlds import day, world
from training.backtest import evaluate_all
from training.promotion.shared import dates_of_champion
from training.settings import TrainSettings
from training.timeline import Timeline


class Registry:
    """Stands for MLflow, with a champion whose run was judged on ``dates``."""

    def __init__(self, dates: list[datetime] | None) -> None:
        self.dates = dates

    def find(self, reference: str) -> str:
        assert reference == "champion"
        if self.dates is None:
            raise TrackingError("no model 'koc' is registered; run `koc train` first")
        return reference

    def artifact(self, version: str, file: str) -> bytes:
        assert (version, file) == ("champion", "recipe.json")
        return json.dumps(recipe(test_dates=[date.isoformat() for date in self.dates or []]).to_dict()).encode()


def of(registry: Any, dataset: str = "shop") -> list[datetime]:
    return dates_of_champion(registry, dataset)


def test_a_challenger_is_judged_on_the_last_dates_of_the_champion_of_its_dataset() -> None:
    dates = [day(number) for number in range(5)]
    assert of(Registry(dates)) == dates[-3:]
    assert of(Registry(dates), "another") == []
    assert of(Registry(None)) == []


@pytest.mark.parametrize(("named", "judged"), [((), [50, 64, 70, 80, 90]), ((day(60),), [60])])
def test_they_are_added_where_the_dataset_names_none(
    monkeypatch: pytest.MonkeyPatch, named: tuple[datetime, ...], judged: list[int]
) -> None:
    orders = [{"user_id": "a", "ordered_at": day(number)} for number in range(100)]
    timeline = Timeline(world(orders=orders, until=day(100), settings={"test_dates": named}))
    seen = []
    monkeypatch.setattr("training.backtest.evaluate", lambda _, as_of, *__, **___: seen.append(as_of) or {})
    # The window of day 95 is open: horizon 10 days, and the data ends on day 100.
    evaluate_all([timeline], TrainSettings(), also=[day(50), day(64), day(80), day(95)])
    assert seen == [day(number) for number in judged]
