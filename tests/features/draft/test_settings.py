"""Zone, currency and the cut of time, on orders whose rhythm is known."""

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from features.draft.draft import draft_dataset
from features.draft.guess import Guess


def settings(folder: Path, days: list[datetime], **columns: object) -> dict[str, Guess]:
    frame = {"user_id": [f"u{n % 10}" for n in range(len(days))], "item_id": 1, "ordered_at": days, **columns}
    pd.DataFrame(frame).to_csv(folder / "orders.csv", index=False)
    draft = draft_dataset([folder / "orders.csv"])
    return {**draft.settings, **draft.time}


def every(hours: float, days: int) -> list[datetime]:
    count = int(days * 24 / hours)
    return [datetime(2024, 1, 1) + timedelta(hours=hours * n) for n in range(count + 1)]


@pytest.mark.parametrize(
    ("hours", "days", "horizon"),
    [
        (24, 300, "42d"),  # people come back after 10 days: the usual horizon
        (24, 120, "14d"),  # a sixth of 120 days is 20
        (60, 400, "56d"),  # people come back after 25 days: two gaps are 50 days
        (24, 20, "7d"),  # never below a week
    ],
)
def test_horizon_follows_length_and_rhythm(tmp_path: Path, hours: float, days: int, horizon: str) -> None:
    found = settings(tmp_path, every(hours, days))
    assert found["horizon"].value == horizon
    assert found["window"].value == f"{int(horizon[:-1]) * 2 // 3}d"


def test_test_dates_are_closed_and_have_history(tmp_path: Path) -> None:
    found = settings(tmp_path, every(24, 300))  # ends 2024-10-27
    assert found["test_dates"].value == "2024-06-23, 2024-08-04, 2024-09-15"
    short = settings(tmp_path, every(24, 29))  # 29 days: the date with 21 days of history before it
    assert short["test_dates"].value == "2024-01-23"
    assert "test_dates" not in settings(tmp_path, every(24, 20))


def test_a_thin_tail_is_passed_over(tmp_path: Path) -> None:
    thin = [datetime(2024, 10, 27) + timedelta(days=40 * n) for n in range(1, 6)]
    found = settings(tmp_path, [*every(6, 300), *thin])
    last = found["test_dates"].value.split(", ")[-1]
    assert last < "2024-10-27"


def test_chinese_headers_mean_shanghai_and_yuan(tmp_path: Path) -> None:
    found = settings(tmp_path, every(24, 300), 实付金额="9.50")
    assert (found["zone"].value, found["zone"].sure) == ("Asia/Shanghai", True)
    assert found["currency"].value == "CNY"
    assert found["test_dates"].value.startswith("2024-06-23T00:00:00+08:00")


@pytest.mark.parametrize(("sign", "currency"), [("$", "USD"), ("€", "EUR"), ("£", "GBP"), ("￥", "CNY")])
def test_the_sign_of_amounts_is_the_currency(tmp_path: Path, sign: str, currency: str) -> None:
    found = settings(tmp_path, every(24, 300), order_amount=f"{sign}9.50")
    assert (found["currency"].value, found["currency"].sure) == (currency, True)


def test_what_no_file_tells_is_unsure(tmp_path: Path) -> None:
    found = settings(tmp_path, every(24, 300), order_amount="9.50")
    assert (found["zone"].value, found["zone"].sure) == ("UTC", False)
    assert (found["currency"].value, found["currency"].sure) == ("CNY", False)


def test_visits_get_a_minimum_gap(tmp_path: Path) -> None:
    frame = {"user": [f"u{n % 10}" for n in range(301)], "venue": 1, "checked_in_at": every(24, 300)}
    pd.DataFrame(frame).to_csv(tmp_path / "visits.csv", index=False)
    draft = draft_dataset([tmp_path / "visits.csv"])
    assert draft.time["min_gap"].value == "6h"
    assert not draft.time["min_gap"].sure
