import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.dataset import Dataset
from features.errors import DatasetError, LiveError, ScoresError
from features.snapshot import Snapshot
from serving import batch as batch_file
from serving import live as live_file
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal, Scope
from serving.batch import load_bundle
from serving.live import Fresh, Live
from serving.outreach.erasures import Erasures
from serving.scores import user_facts
from serving.settings import ServiceSettings
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.conftest import Scored
from tests.serving.batches import write_users
from tests.worlds import day, world
from training.extras.contract import Extras
from training.frame import Frame
from training.hybrid import Said
from training.timeline import Timeline

OF_THE_NETWORK = {"koc_score", "koc_percentile", "expected_new", "expected_value", "value_at_risk", "willingness", "reach"}
"""Columns that the network has a part in: sums of floats whose order is the machine's."""


@pytest.fixture(scope="module")
def shop(market_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the market in a folder of their own, which tests may add to."""
    folder = tmp_path_factory.mktemp("shop") / "market"
    shutil.copytree(market_file.parent, folder)
    return folder / market_file.name


@pytest.fixture(scope="module")
def settings(scored: Scored, shop: Path) -> ServiceSettings:
    return ServiceSettings(home=scored.home, dataset=shop, threads=1, live_seconds=300)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    return Database(f"sqlite:///{tmp_path_factory.mktemp('operations') / 'operations.db'}")


@pytest.fixture(scope="module")
def live(settings: ServiceSettings, scored: Scored, database: Database) -> Iterator[Live]:
    made = Live(settings, Served(scored.store), database)
    yield made
    made.close()


@pytest.fixture(scope="module")
def fresh(live: Live, scored: Scored) -> Fresh:
    """What ``live`` read of the files while they were as the batch saw them."""
    live.score([first_users(scored, 1)[0]])
    return next(iter(live._opinions.values())).fresh


def first_users(scored: Scored, count: int) -> list[str]:
    ids: list[str] = Served(scored.store).batch.table(np.arange(count))["user_id"].to_pylist()
    return ids


@pytest.fixture
def reads(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tokens of what was read, by any `Live` of the test; nothing is read in truth."""
    told: list[str] = []

    def read(_: Live, dataset: Dataset, token: str) -> Fresh:
        told.append(token)
        time.sleep(0.2)
        return replace(fresh, token=token, dataset=dataset)

    monkeypatch.setattr(Live, "_read", read)
    return told


@pytest.mark.usefixtures("fresh")
def test_batch_live_and_a_bundle_loaded_by_hand_agree(live: Live, scored: Scored, timeline: Timeline) -> None:
    batch = Served(scored.store).batch
    # From the top, of whom the batch tells reasons, and from the end.
    rows = np.array([0, 1, 5, len(batch) // 2, len(batch) - 1])
    expected = batch.table(rows).to_pylist()
    answer = live.score([row["user_id"] for row in expected])
    assert (answer.model, answer.batch, answer.unknown) == ("koc/1", scored.manifest.batch, [])
    as_of = timeline.tables.observed_until
    assert answer.as_of == answer.batch_as_of == as_of.replace(tzinfo=UTC)
    hybrid = load_bundle(scored.tracker, 1).hybrid
    frame = timeline.frame(as_of)
    margin = hybrid.said(frame).margin
    assert margin is not None
    by_hand = dict(zip(frame.users, np.exp(margin), strict=True))
    for found, row in zip(answer.scores, expected, strict=True):
        assert found["koc_score"] == pytest.approx(by_hand[row["user_id"]], rel=1e-6)
        assert found.pop("batch_koc_score") == row["koc_score"]
        assert found.pop("change") == pytest.approx(0, abs=1e-6)
        assert set(found) == set(row)
        for name in row:
            expected_value = pytest.approx(row[name], rel=1e-6) if name in OF_THE_NETWORK else row[name]
            assert found[name] == expected_value, name


def test_columns_of_extra_models_are_told_as_in_a_batch(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(1)} for user in ("a", "b", "c")]
    timeline = Timeline(world(orders=orders, until=day(60)))
    frame, snapshot = timeline.frame(day(60)), timeline.snapshot(day(60))

    def score(_: Extras, asked: Snapshot, of: Frame) -> dict[str, Any]:
        assert (asked, of) == (snapshot, frame)
        return {"chain_value": np.array([1.5, np.nan, 0.0])}

    monkeypatch.setattr(Extras, "score", score)
    hybrid = SimpleNamespace(said=lambda _: Said({}, np.zeros(3), None))
    monkeypatch.setattr(batch_file, "load_bundle", lambda *_: SimpleNamespace(hybrid=hybrid, extras=Extras()))
    for name in ("require_same_settings", "require_same_features"):
        monkeypatch.setattr(batch_file, name, lambda *_: None)
    dataset = timeline.tables.dataset
    read = Fresh("t", dataset, day(60), frame, user_facts(frame, snapshot), {}, snapshot)
    monkeypatch.setattr(Live, "_read", lambda *_: read)
    own = Live(ServiceSettings(home=tmp_path), Served(ScoreStore(tmp_path)), database)
    own.__dict__["_tracker"] = None
    told = own._make(dataset, "t", 1).users
    own.close()
    assert told.select(["user_id", "chain_value"]).to_pydict() == {
        "user_id": ["a", "b", "c"],
        "chain_value": [1.5, None, 0.0],
    }


@pytest.mark.usefixtures("fresh")
def test_people_without_an_act_are_listed_and_not_dropped(live: Live, scored: Scored) -> None:
    user, other = first_users(scored, 2)
    answer = live.score([other, "nobody", user, other])
    assert [row["user_id"] for row in answer.scores] == [other, user]
    assert answer.unknown == [{"user_id": "nobody", "reason": f"no act before {answer.as_of:%Y-%m-%d %H:%M:%S}"}]
    entry = Audit(live.database).read(action="scores.view")[-1]
    assert (entry.subject, entry.rows, entry.criteria) == ("2 users", 2, {"users": [other, user]})


@pytest.mark.usefixtures("fresh")
def test_people_outside_what_a_key_sees_are_unknown_for_the_reason_of_strangers(live: Live, scored: Scored) -> None:
    users = Served(scored.store).batch.table(columns=["user_id", "stage"]).to_pylist()
    inside = next(row for row in users if row["stage"] == "active")["user_id"]
    outside = next(row for row in users if row["stage"] not in ("active", "newcomer"))["user_id"]
    key = Principal("k1", "shop", frozenset({Scope.READ}), {"stage": ("active", "newcomer")})
    answer = live.score([inside, outside, "nobody"], key)
    assert [row["user_id"] for row in answer.scores] == [inside]
    assert [row["user_id"] for row in answer.unknown] == [outside, "nobody"]
    assert len({row["reason"] for row in answer.unknown}) == 1
    elsewhere = replace(key, row_scope={"attribute_shop": ("1",)})
    assert live.score([inside], elsewhere).scores == []


def test_a_key_that_sees_one_category_scores_nobody_else(tmp_path: Path, database: Database) -> None:
    served = Served(ScoreStore(tmp_path / "scores"))
    live = Live(ServiceSettings(home=tmp_path), served, database)
    opinion: Any = SimpleNamespace(users=pa.table({"user_id": ["ann", "bob", "new"]}))
    tea = Principal("k1", "tea", frozenset({Scope.READ}), {"category": ("tea",)})
    assert live._places(opinion, ["ann", "bob", "new"], tea) == {}
    categories = pa.table({"user_id": ["ann"], "category": ["tea"], "influence": [2.0]})
    write_users(served.store, [{"user_id": "ann"}, {"user_id": "bob"}], categories=categories)
    assert live._places(opinion, ["new", "bob", "ann"], tea) == {"ann": 0}
    assert live._places(opinion, ["new", "ann"], LOCAL) == {"new": 2, "ann": 0}
    live.close()


@pytest.mark.usefixtures("fresh")
def test_whoever_was_erased_is_not_scored(live: Live, scored: Scored, database: Database) -> None:
    gone, other = first_users(scored, 5)[-2:]
    assert len(live.score([gone, other]).scores) == 2
    Erasures(database, live.settings.dataset).erase(LOCAL, gone, "asked for it")
    answer = live.score([gone, other])
    assert [row["user_id"] for row in answer.scores] == [other]
    assert answer.unknown == [{"user_id": gone, "reason": "erased"}]


@pytest.mark.usefixtures("fresh")
def test_an_account_of_another_person_leads_there(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    opinion = next(iter(live._opinions.values()))
    merged = replace(opinion, fresh=replace(opinion.fresh, person_of={"b2": "a1"}))
    monkeypatch.setattr(live, "_opinion", lambda *_: merged)
    assert live.score(["b2"]).unknown == [{"user_id": "b2", "reason": "an account of a1; ask for that id"}]


def test_what_has_not_changed_is_read_once(
    reads: list[str], settings: ServiceSettings, scored: Scored, shop: Path, database: Database
) -> None:
    live = Live(settings, Served(scored.store), database)
    user = first_users(scored, 1)
    first = live.score(user)
    assert live.score(user) == first
    assert live.score(user, model="champion") == first
    assert len(reads) == 1
    shop.with_name("orders.parquet").touch()
    live.score(user)
    assert len(set(reads)) == len(reads) == 2


def test_requests_at_one_time_read_once(
    reads: list[str], settings: ServiceSettings, scored: Scored, database: Database
) -> None:
    live, user, together = Live(settings, Served(scored.store), database), first_users(scored, 1), threading.Barrier(4)

    def ask(_: int) -> float:
        together.wait()
        score: float = live.score(user).scores[0]["koc_score"]
        return score

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert len(reads) == 1


def test_a_request_does_not_wait_for_ever(
    reads: list[str], settings: ServiceSettings, scored: Scored, database: Database
) -> None:
    live = Live(settings.model_copy(update={"live_seconds": 0.05}), Served(scored.store), database)
    user = first_users(scored, 1)
    with pytest.raises(LiveError, match=r"being made from changed sources, for longer than 0.05 s; .* by a job") as busy:
        live.score(user)
    assert busy.value.retry_after == 1
    # What was begun goes on, and the next request finds it.
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert live.score(user).scores[0]["user_id"] == user[0]
            break
        except LiveError:
            time.sleep(0.05)
    assert len(reads) == 1


def test_what_fails_is_tried_again(
    reads: list[str], settings: ServiceSettings, scored: Scored, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    live, user, read = Live(settings, Served(scored.store), database), first_users(scored, 1), Live._read

    def fail(*_: object) -> Fresh:
        raise DatasetError("orders.parquet is being written")

    monkeypatch.setattr(Live, "_read", fail)
    with pytest.raises(LiveError, match=r"fresh scores cannot be made: orders\.parquet is being written"):
        live.score(user)
    monkeypatch.setattr(Live, "_read", read)
    assert len(live.score(user).scores) == len(reads) == 1


def test_without_a_batch_the_champion_speaks_and_nothing_is_compared(
    reads: list[str], settings: ServiceSettings, scored: Scored, tmp_path: Path, database: Database
) -> None:
    answer = Live(settings, Served(ScoreStore(tmp_path)), database).score(first_users(scored, 1))
    assert (answer.model, answer.batch, answer.batch_as_of, answer.batch_model) == ("koc/1", None, None, None)
    assert (answer.scores[0]["batch_koc_score"], answer.scores[0]["change"]) == (None, None)
    assert len(reads) == 1


@pytest.mark.usefixtures("reads")
def test_what_cannot_be_scored_is_refused(
    settings: ServiceSettings, scored: Scored, shop: Path, tmp_path: Path, database: Database
) -> None:
    live = Live(settings, Served(scored.store), database)
    with pytest.raises(ScoresError, match="koc has no version or alias '99'; choose from aliases"):
        live.score(["a"], model="99")
    with pytest.raises(ScoresError, match="1,001 users are asked for, 1,000 are the most; ask in parts"):
        live.score([str(number) for number in range(live_file.MOST_USERS + 1)])
    other = tmp_path / "dataset.toml"
    other.write_text(shop.read_text(encoding="utf-8").replace('horizon = "42d"', 'horizon = "30d"'), encoding="utf-8")
    with pytest.raises(LiveError, match=r"cannot be made: the model was trained with time\.horizon = 42 days"):
        Live(settings.model_copy(update={"dataset": other}), Served(scored.store), database).score(["a"])


@pytest.mark.usefixtures("fresh")
def test_somebody_who_appears_after_the_batch_is_scored(live: Live, shop: Path, scored: Scored) -> None:
    assert live.score(["newcomer"]).scores == []
    path = shop.with_name("orders.parquet")
    orders = pq.read_table(path)
    last = orders.slice(int(np.argmax(orders["ordered_at"].to_numpy())), 1)
    row = {**last.to_pylist()[0], "user_id": "newcomer", "order_id": "new"}
    pq.write_table(pa.concat_tables([orders, pa.Table.from_pylist([row], orders.schema)]), path)
    answer = live.score(["newcomer", *first_users(scored, 1)])
    newcomer, first = answer.scores
    assert (newcomer["stage"], newcomer["batch_koc_score"], newcomer["change"]) == ("newcomer", None, None)
    assert newcomer["koc_score"] > 0
    assert newcomer["reason"]
    assert first["change"] == first["koc_score"] - first["batch_koc_score"]
