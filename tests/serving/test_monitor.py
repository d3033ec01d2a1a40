import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from serving.access.principal import LOCAL
from serving.api.routes_monitor import Monitor
from serving.api.services import Services
from serving.jobs.leases import Lease, Leases
from serving.lists.criteria import ListCriteria
from serving.monitor import ALERTS, CHURN, ServedList, health, realised, served_lists
from serving.store.schemas import DRIFT_SCHEMA
from serving.store.score_store import ScoreStore
from tests.command import koc
from tests.serving.api.conftest import Caller, app, caller, plain_services, plain_settings
from tests.serving.batches import AS_OF, write_random, write_users
from tests.worlds import day, world

__all__ = ["app", "caller", "plain_services", "plain_settings"]

# b follows a on day 24 and c follows b on day 29; horizon 10 days, window 5.
ORDERS = [
    {"user_id": user, "item_id": item, "ordered_at": day(at), "amount": 100}
    for user, item, at in (("a", "x", 1), ("b", "x", 21), ("a", "y", 21), ("b", "y", 24), ("c", "y", 29), ("d", "y", 45))
]
WEEK: dict[str, Any] = {"week": "2024-01-22", "lists": 2, "people": 500, "precision": 0.6, "captured": 0.75, "buyers": 400,
        "expected": 0.2, "left": 0.22}  # fmt: skip
TIES = [{"user_id": "b", "influencer_id": "a"}, {"user_id": "c", "influencer_id": "b"}]


def served(at: float, **churn: float | None) -> ServedList:
    rows = pa.table({"user_id": [*churn], CHURN: pa.array([*churn.values()], pa.float64())})
    return ServedList(day(at), rows)


def test_d77_lists_are_judged_by_week_once_their_labels_are_closed() -> None:
    tables = world(orders=ORDERS, ties=TIES, until=day(50))
    # Day 22 of 2024 is Tuesday, 23 January; the windows of days 22 and 23 are closed by day 50, that of day 41 is not.
    lists = [served(22, a=0.9, d=None), served(23, a=0.5, b=0.2, d=None), served(41, a=0.1)]
    (week,) = realised(tables, lists)
    assert (week.week, week.lists, week.people, week.buyers) == ("2024-01-22", 2, 5, 2)
    # a moved somebody after both dates, b too; d nobody.
    assert week.precision == pytest.approx(3 / 5)
    # Half of the influence after day 22 is that of a, all of it after day 23 is that of a and b.
    assert week.captured == pytest.approx((0.5 + 1.0) / 2)
    # On two lists a is one buyer, as the first said.
    assert week.expected == pytest.approx((0.9 + 0.2) / 2)
    # a ordered nothing after day 22, b on day 24.
    assert week.left == pytest.approx(1 / 2)


def test_without_orders_or_influence_it_tells_what_it_can() -> None:
    orders = [{"user_id": user, "ordered_at": day(at)} for user, at in (("a", 1), ("b", 12), ("b", 24))]
    (week,) = realised(world(orders=orders, until=day(30)), [served(15, a=0.5, b=0.5)])
    assert (week.precision, week.captured, week.left) == (None, None, 0.5)
    assert realised(world(orders=orders, until=day(30)), []) == []


def test_every_list_is_judged_as_of_its_scores(plain_services: Services) -> None:
    write_random(plain_services.settings.scores, users=50)
    lists = plain_services.lists
    made = [lists.create(LOCAL, ListCriteria(size=size)) for size in (3, 5)]
    found = served_lists(lists)
    assert [(each.as_of, len(each.rows)) for each in found] == [(AS_OF, 3), (AS_OF, 5)]
    wanted = lists.payload(made[1]).table(["user_id", CHURN])
    assert found[1].rows.equals(wanted)


def drift(*shifted: tuple[str, str]) -> pa.Table:
    rows = [
        {"column": name, "kind": kind, "psi": 0.5, "limit": 0.2, "shifted": True, "unknown_then": 0.0, "unknown_now": 0.0}
        for name, kind in shifted
    ]
    calm = {"column": "calm", "kind": "feature", "psi": 0.01, "limit": 0.2, "shifted": False, "unknown_then": 0.0,
            "unknown_now": 0.0}  # fmt: skip
    return pa.Table.from_pylist([*rows, calm], DRIFT_SCHEMA)


def test_what_is_old_or_has_shifted_is_an_alert(tmp_path: Path) -> None:
    store, now = ScoreStore(tmp_path), AS_OF.replace(tzinfo=UTC)
    write_users(store, [{"user_id": "a"}], drift=drift())
    assert health(store.open(), [WEEK], now).alerts == []
    shifted = drift(("koc_score", "score"), ("orders_42d", "feature"))
    write_users(store, [{"user_id": "a"}], drift=shifted, trained_until=AS_OF - timedelta(days=63))
    found = health(store.open(), [WEEK, {**WEEK, "left": 0.33}], now + timedelta(days=9))
    assert found.shifted == ["koc_score", "orders_42d"]
    assert tuple(alert.alert for alert in found.alerts) == ALERTS
    assert [alert.text.split(";")[0] for alert in found.alerts] == [
        "the scores are of 9 days ago",
        "koc/1 was trained on what was known 72 days ago",
        "koc_score shifted since koc/1 was trained",
        "1 of 2 features shifted, first orders_42d",
        "of 400 buyers on the lists of the week of 2024-01-22 33% left, 20% were expected to",
    ]


@pytest.mark.parametrize(
    ("buyers", "left", "alarm"),
    [(400, 0.29, False), (400, 0.31, True), (400, 0.05, True), (20, 0.4, False), (0, None, False)],
)
def test_churn_is_off_where_chance_does_not_explain_it(tmp_path: Path, buyers: int, left: float | None, alarm: bool) -> None:
    store = ScoreStore(tmp_path)
    write_users(store, [{"user_id": "a"}])
    week = {**WEEK, "buyers": buyers, "left": left, "expected": 0.2 if buyers else None}
    found = health(store.open(), [week], AS_OF.replace(tzinfo=UTC))
    assert [alert.alert for alert in found.alerts] == ["churn_off"] * alarm


def test_the_command_tells_what_has_shifted(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "scores")
    write_users(
        store, [{"user_id": "a"}], drift=drift(("orders_42d", "feature")), as_of=datetime.now(UTC).replace(tzinfo=None)
    )
    ran = koc("monitor", "--home", tmp_path)
    assert ran.status == 0, ran.err
    assert "alert 1 of 2 features shifted, first orders_42d" in ran.out
    assert "calm" not in ran.out
    assert "calm" in koc("monitor", "--all", "--home", tmp_path).out
    write_users(store, [{"user_id": "a"}])
    assert "does not tell of drift; score again" in koc("monitor", "--home", tmp_path).out


def test_metrics_tell_drift_and_how_lists_turned_out(caller: Caller, plain_services: Services) -> None:
    write_users(plain_services.served.store, [{"user_id": "a"}], drift=drift(("koc_score", "score")))
    client = caller("read")
    text = client.get("/metrics").text
    assert 'koc_drift_shifted{kind="score"} 1.0' in text
    assert 'koc_drift_shifted{kind="feature"} 0.0' in text
    assert 'koc_drift_psi{column="calm"} 0.01' in text
    assert "koc_realised{" not in text
    jobs = plain_services.jobs
    jobs.create(LOCAL, "monitor", {})
    leases = Leases(jobs.database, 60)
    job = leases.claim("w", jobs.kinds)
    assert job is not None
    week = {**WEEK, "expected": None, "left": None}
    leases.succeed(Lease(job.job_id, "w", job.attempts), {"data_until": "2024-02-20", "weeks": [week]})
    text = client.get("/metrics").text
    assert 'koc_realised{what="precision"} 0.6' in text
    assert 'koc_realised{what="left"} NaN' in text
    (monday,) = re.findall(r'^koc_realised{what="week"} (\S+)$', text, re.MULTILINE)
    assert datetime.fromtimestamp(float(monday), UTC) == datetime(2024, 1, 22, tzinfo=UTC)
    # The next model has not the column: nothing is known of it any more.
    write_users(plain_services.served.store, [{"user_id": "a"}], drift=drift(("other", "feature")).slice(0, 1))
    plain_services.served.refresh()
    text = client.get("/metrics").text
    assert 'koc_drift_psi{column="calm"} NaN' in text
    assert 'koc_drift_psi{column="other"} 0.5' in text


def test_d77_alerts_are_metrics_and_an_answer(caller: Caller, plain_services: Services) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    write_users(
        plain_services.served.store, [{"user_id": "a"}],
        as_of=now - timedelta(days=1), trained_until=now - timedelta(days=70), drift=drift(("koc_score", "score")),
    )  # fmt: skip
    client = caller("read")
    text = client.get("/metrics").text
    told = {"old_scores": 0, "old_model": 1, "score_drift": 1, "feature_drift": 0, "churn_off": 0}
    assert all(f'koc_alert{{alert="{alert}"}} {value}.0' in text for alert, value in told.items())
    (age,) = re.findall(r"^koc_model_age_seconds (\S+)$", text, re.MULTILINE)
    assert float(age) == pytest.approx(70 * 86_400, abs=60)
    answer = client.get("/v1/monitor").json()
    assert [alert["alert"] for alert in answer["alerts"]] == ["old_model", "score_drift"]
    assert answer["alerts"][0]["text"] == "koc/1 was trained on what was known 70 days ago; train a challenger"
    assert (answer["model"], answer["weeks"]) == ("koc/1", None)
    assert [row["column"] for row in answer["drift"]] == ["koc_score", "calm"]
    assert set(Monitor.model_fields) == {*answer}
