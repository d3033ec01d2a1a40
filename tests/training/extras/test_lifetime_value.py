"""What buyers are expected to spend within a year."""

from typing import Any

import numpy as np
import pytest

from features.engine import DuckDB
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.tables import Tables
from tests.worlds import day, world
from training.extras.lifetime_value import (
    Buyers,
    PurchaseRate,
    Spending,
    fit_purchase_rate,
    fit_spending,
    lifetime_value,
    read_buyers,
)

ENGINE = DuckDB(threads=1)
MODEL = PurchaseRate(r=0.8, alpha=40.0, a=0.7, b=2.5)


def at(number: float, orders: list[dict[str, Any]]) -> Snapshot:
    return prepare(take_snapshot(shop(orders), day(number)))


def shop(orders: list[dict[str, Any]]) -> Tables:
    return world(engine=ENGINE, until=day(400), orders=orders)


def order(user: str, at: float, amount: int | None = 100, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": "i", "ordered_at": day(at), "amount": amount, **more}


def buyers(repeats: list[float], last: list[float], age: list[float]) -> Buyers:
    count = len(repeats)
    return Buyers(
        users=np.array([f"u{n}" for n in range(count)]),
        repeats=np.array(repeats, float),
        last=np.array(last, float),
        age=np.array(age, float),
        mean=np.full(count, 500.0),
        priced=np.array(repeats, float) + 1,
    )


def simulated(count: int, age: float, ahead: float, seed: int = 0) -> tuple[Buyers, np.ndarray]:
    """Buyers of the model itself, and the days on which each buys within ``ahead``."""
    random = np.random.default_rng(seed)
    rate, leaves = random.gamma(MODEL.r, 1 / MODEL.alpha, count), random.beta(MODEL.a, MODEL.b, count)
    repeats, last, later = np.zeros(count), np.zeros(count), np.zeros(count)
    for n in range(count):
        moment = 0.0
        while random.random() > leaves[n]:
            moment += random.exponential(1 / rate[n])
            if moment > age + ahead:
                break
            if moment > age:
                later[n] += 1
            else:
                repeats[n], last[n] = repeats[n] + 1, moment
    found = buyers(repeats.tolist(), last.tolist(), [age] * count)
    return found, later


def test_d43_purchases_are_counted_by_local_days_net_of_refunds_known() -> None:
    orders = [order("a", 1), order("a", 1.3, 50), order("a", 11, 300, refund_amount=100, refunded_at=day(15)),
              order("a", 35, 900), order("b", 21, None), order("c", 20, 80)]  # fmt: skip
    found = read_buyers(at(31, orders))
    assert found.users.tolist() == ["a", "b", "c"]
    assert found.repeats.tolist() == [1, 0, 0]
    assert found.last.tolist() == [10, 0, 0]
    assert found.age.tolist() == [30, 10, 11]
    assert found.mean.tolist()[::2] == [175, 80]
    assert found.priced.tolist() == [2, 0, 1]


def test_what_the_model_expects_is_what_buyers_of_the_model_do() -> None:
    known, later = simulated(40_000, age=120, ahead=90)
    expected = MODEL.expected(known, 90)
    assert expected.sum() == pytest.approx(later.sum(), rel=0.04)
    for low, high in ((0, 0), (1, 2), (3, 9)):
        some = (known.repeats >= low) & (known.repeats <= high)
        assert expected[some].mean() == pytest.approx(later[some].mean(), rel=0.08), (low, high)


def test_the_parameters_are_found_again() -> None:
    known, later = simulated(10_000, age=150, ahead=90, seed=1)
    fitted = fit_purchase_rate(known)
    assert fitted.expected(known, 90).sum() == pytest.approx(later.sum(), rel=0.08)
    assert fitted.r == pytest.approx(MODEL.r, rel=0.2)


def test_the_longer_the_silence_the_less_a_buyer_is_there() -> None:
    # Four purchases within 30 days; then 1, 30 and 300 days of silence.
    seen = buyers([4, 4, 4], [30, 30, 30], [31, 60, 330])
    alive = MODEL.alive(seen)
    assert alive[0] > alive[1] > alive[2]
    assert ((alive > 0) & (alive < 1)).all()
    # By hand: odds of having left are a / (b + x) times ((alpha + T) / (alpha + t)) to the power r + x.
    assert alive[1] == pytest.approx(1 / (1 + 0.7 / 6.5 * (100 / 70) ** 4.8))
    expected = MODEL.expected(seen, 365)
    assert expected[0] > expected[1] > expected[2] > 0


def test_after_thousands_of_purchases_numbers_stay_numbers() -> None:
    expected = MODEL.expected(buyers([5_000], [5_000], [5_001]), 365)
    assert 300 < expected[0] <= 365.5


def test_an_own_record_of_amounts_is_held_against_that_of_all() -> None:
    few = Buyers(np.array(["a", "b", "c"]), np.zeros(3), np.zeros(3), np.ones(3), np.array([900.0, 900.0, np.nan]),
                 np.array([1.0, 50.0, 0.0]))  # fmt: skip
    spending = Spending(p=2.0, q=4.0, v=300.0)
    # By hand: p (v + mean x purchases) / (p x purchases + q - 1).
    assert spending.expected(few) == pytest.approx([2 * 1200 / 5, 2 * 45_300 / 103, 2 * 300 / 3])


def test_amounts_of_the_model_are_found_again() -> None:
    random = np.random.default_rng(0)
    priced = random.integers(1, 6, 8_000).astype(float)
    scale = random.gamma(4.0, 1 / 3_000.0, 8_000)
    mean = random.gamma(3.0 * priced) / scale / priced
    seen = Buyers(np.arange(8_000).astype(str), priced - 1, priced, priced, mean, priced)
    assert fit_spending(seen).expected(seen).mean() == pytest.approx(mean.mean(), rel=0.03)


def test_d43_people_are_ranked_by_what_they_will_spend_not_by_how_often_they_ordered() -> None:
    often = [order("often", n, 10) for n in range(0, 60, 6)]
    dear = [order("dear", n, 5_000) for n in (1, 20, 40, 58)]
    gone = [order("gone", n, 5_000) for n in (0, 1, 2, 3, 4, 5)]
    others = [order(f"u{n}", n % 50, 300) for n in range(100)]
    rows = lifetime_value(at(60, [*often, *dear, *gone, *others])).to_pylist()
    value = {row["user_id"]: row["lifetime_value"] for row in rows}
    assert value["dear"] > value["gone"]
    assert value["dear"] > value["often"] > 0


def test_without_amounts_nothing_is_said() -> None:
    assert len(lifetime_value(at(30, [order("a", 1, 0), order("b", 2, None)]))) == 0
