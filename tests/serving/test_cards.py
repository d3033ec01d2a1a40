from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from features.errors import NoScoresError, NotFoundError, ScoresError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal, Scope
from serving.cards import Cards
from serving.evidence import Evidence
from serving.outreach.erasures import Erasures
from serving.outreach.people import People
from serving.outreach.suppressions import Cause, Suppressions
from serving.state.database import Database
from serving.state.tables import candidate_lists, list_members, outcomes, outreach
from serving.store.schemas import TIES_SCHEMA
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.serving.batches import AS_OF, write_users

NOW = datetime(2024, 6, 2, 9, tzinfo=UTC)
HANGZHOU = Principal("k1", "hangzhou", frozenset({Scope.READ}), {"attribute_region": ("Hangzhou",)})

USERS: list[Mapping[str, Any]] = [
    {"user_id": "ann", "koc_score": 3.0, "koc_percentile": 90.0, "activation": "lapsed", "activated_since": "2023-11-02",
     "people_moved": 2.5, "churn_probability": 0.2, "attribute_region": "Hangzhou", "role": "bridge"},
    {"user_id": "bob", "koc_score": 2.0, "koc_percentile": 50.0, "activation": "never", "people_moved": 0.0,
     "attribute_region": "Suzhou", "role": "hub"},
    {"user_id": "cay", "koc_score": 1.0, "koc_percentile": 10.0, "activation": "never", "people_moved": 0.0,
     "attribute_region": "Hangzhou", "role": None},
]  # fmt: skip
TIES = pa.table(
    {"user_id": ["bob", "cay", "eve", "ann", "cay"], "influencer_id": ["ann", "ann", "ann", "bob", "bob"],
     "expected_follow_ups": [0.5, 0.1, 0.2, 0.05, 0.3], "strength": [1.0, 2.0, 1.0, 1.0, 4.0]},
    schema=TIES_SCHEMA,
)  # fmt: skip


def evidence() -> Evidence:
    none = Evidence.none()
    followed = {"user_id": ["ann", "ann"], "influenced_id": ["bob", "cay"], "item_id": ["i1", "i2"],
                "category": ["tea", "tea"], "happened_at": [AS_OF - timedelta(days=2), AS_OF - timedelta(days=9)],
                "evidence": ["share", "tie"]}  # fmt: skip
    handed = {"user_id": ["ann"], "place": [1], "item_id": ["i3"], "category": ["tea"], "open_people": [2],
              "because": ["bought lately"], "because_zh": ["近期买过"]}  # fmt: skip
    return Evidence(pa.table(followed).cast(none.follow_ups.schema), pa.table(handed).cast(none.next_items.schema))


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    store = ScoreStore(tmp_path / "scores")
    earlier: list[Mapping[str, Any]] = [{**USERS[1]}, {**USERS[0], "koc_score": 1.5, "churn_probability": 0.4}]
    write_users(store, earlier, as_of=AS_OF - timedelta(days=7), model="koc/0")
    categories = pa.table({"user_id": ["ann", "ann"], "category": ["toys", "tea"], "influence": [0.5, 2.0]})
    write_users(store, USERS, categories=categories, evidence=evidence(), ties=TIES)
    return store


@pytest.fixture
def cards(store: ScoreStore, database: Database) -> Cards:
    return Cards(Served(store), database)


def test_d32_what_may_come_and_what_has_been_are_apart(cards: Cards) -> None:
    ann, bob = cards.card("ann"), cards.card("bob")
    assert ann.potential == {"rank": 1, "koc_score": 3.0, "koc_percentile": 90.0}
    assert ann.activated == {"state": "lapsed", "since": "2023-11-02", "people_moved": 2.5}
    assert bob.potential is not None
    assert (bob.potential["rank"], bob.activated) == (2, {"state": "never", "since": None, "people_moved": 0.0})
    assert (ann.as_of, ann.model) == (AS_OF.replace(tzinfo=UTC), "koc/1")


def test_a_card_tells_why_with_evidence_and_every_column_that_a_model_brings(cards: Cards) -> None:
    card = cards.card("ann")
    assert (card.reason, card.reason_zh) == ("why ann", "因为 ann")
    assert (card.churn_probability, card.stage, card.attributes) == (0.2, "active", {"region": "Hangzhou"})
    assert card.scores == {"role": "bridge"}
    assert [(row["influenced_id"], row["item_id"], row["evidence"]) for row in card.follow_ups] == [
        ("bob", "i1", "share"),
        ("cay", "i2", "tie"),
    ]
    assert [row["user_id"] for row in card.likely_followers] == ["bob", "eve", "cay"]
    assert [(row["item_id"], row["because_zh"]) for row in card.next_items] == [("i3", "近期买过")]
    assert card.categories == [{"category": "tea", "influence": 2.0}, {"category": "toys", "influence": 0.5}]


def test_scores_that_rate_churn_alone_have_neither_potential_nor_activation(database: Database, tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    users = pa.table({"user_id": ["ann"], "churn_probability": [0.7], "stage": ["cooling"]})
    none = pa.table({name: pa.array([], kind) for name, kind in
                     (("user_id", pa.string()), ("category", pa.string()), ("influence", pa.float64()))})  # fmt: skip
    store.write(users, none, dataset="shop", model="koc/1", as_of=AS_OF)
    card = Cards(Served(store), database).card("ann")
    assert (card.potential, card.activated, card.reason, card.churn_probability) == (None, None, None, 0.7)


def test_history_goes_over_kept_batches_of_the_dataset_the_latest_first(cards: Cards, store: ScoreStore) -> None:
    told = [(row["as_of"], row["model"], row["koc_score"], row["churn_probability"]) for row in cards.card("ann").history]
    assert told == [("2024-06-01T00:00:00", "koc/1", 3.0, 0.2), ("2024-05-25T00:00:00", "koc/0", 1.5, 0.4)]
    assert [row["model"] for row in cards.card("cay").history] == ["koc/1"]
    # A later batch is found, and another shop's users of the same name are other people.
    write_users(store, USERS, as_of=AS_OF + timedelta(days=7), model="koc/2")
    cards.served.refresh()
    assert [row["model"] for row in cards.card("ann").history] == ["koc/2", "koc/1", "koc/0"]
    write_users(store, USERS, dataset="other", model="koc/3")
    cards.served.refresh()
    assert [row["model"] for row in cards.card("ann").history] == ["koc/3"]


def test_a_spoilt_old_batch_is_left_out_of_history(cards: Cards, store: ScoreStore) -> None:
    oldest = store.batches()[-1].batch
    path = store.folder / oldest / "users.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert [row["model"] for row in cards.card("ann").history] == ["koc/1"]


def test_what_operations_know_stands_on_the_card(cards: Cards, database: Database) -> None:
    put_on_list(database, "l1", "ann", NOW - timedelta(days=1))
    put_on_list(database, "l2", "ann", NOW)
    with database.write() as connection:
        connection.execute(sa.insert(outreach).values(
            key="c1", list_id="l1", campaign_id="l1", user_id="ann", arm="contacted", channel="sms", contacted_at=NOW,
            recorded_at=NOW))  # fmt: skip
        connection.execute(sa.insert(outcomes).values(
            key="o1", list_id="l1", campaign_id="l1", user_id="ann", outcome="accepted", happened_at=NOW,
            recorded_at=NOW))  # fmt: skip
    card = cards.card("ann")
    assert [(row["list_id"], row["state"], row["arm"]) for row in card.lists] == [
        ("l2", "selected", "contact"),
        ("l1", "selected", "contact"),
    ]
    assert [(row["campaign_id"], row["channel"], row["contacted_at"]) for row in card.contacts] == [("l1", "sms", NOW)]
    assert [row["outcome"] for row in card.outcomes] == ["accepted"]
    assert (cards.card("bob").lists, cards.card("bob").contacts, cards.card("bob").outcomes) == ([], [], [])


def put_on_list(database: Database, list_id: str, user: str, at: datetime) -> None:
    made: dict[str, Any] = {"list_id": list_id, "name": None, "created_at": at, "created_by": "k1",
            "expires_at": at + timedelta(days=14), "batch": "b", "model_version": "koc/1", "as_of": at, "criteria": {},
            "rows": 1, "shortfalls": [], "checksum": "c"}  # fmt: skip
    required = {c.name for c in candidate_lists.c if not c.nullable and c.default is None and c.server_default is None}
    assert required <= set(made), required - set(made)
    with database.write() as connection:
        connection.execute(sa.insert(candidate_lists).values(**made))
        connection.execute(sa.insert(list_members).values(
            list_id=list_id, rank=1, user_id=user, arm="contact", state="selected", changed_at=at))  # fmt: skip


def test_suppressions_are_told_and_what_stands_now_blocks(cards: Cards, database: Database) -> None:
    kept = Suppressions(database, People(cards.served))
    kept.add(LOCAL, Cause.CONSENT_WITHDRAWN, ["ann"], "stop", channel="sms", now=NOW)
    assert cards.card("ann", now=NOW).blocked_by is None
    kept.add(LOCAL, Cause.SUPPRESSED, ["ann"], "complaint", expires_at=NOW + timedelta(days=1), now=NOW)
    card = cards.card("ann", now=NOW)
    assert (card.blocked_by, {one.code for one in card.suppressions}) == ("suppressed", {"stop", "complaint"})
    later = cards.card("ann", now=NOW + timedelta(days=2))
    assert (later.blocked_by, len(later.suppressions)) == (None, 2)


@pytest.mark.parametrize("view", ["card", "matches"])
def test_who_is_not_there_not_seen_or_erased_is_not_found_and_told_alike(
    cards: Cards, database: Database, view: str
) -> None:
    Erasures(database, Path("none.toml")).erase(LOCAL, "cay", "asked")
    for user in ("nobody", "bob", "cay"):
        with pytest.raises(NotFoundError, match=f"no user '{user}' among those of batch .* POST /v1/scores"):
            getattr(cards, view)(user, HANGZHOU)
    getattr(cards, view)("ann", HANGZHOU)


def test_people_around_whom_a_key_does_not_see_are_left_out(cards: Cards) -> None:
    card = cards.card("ann", HANGZHOU)
    assert [row["influenced_id"] for row in card.follow_ups] == ["cay"]
    # Of eve no score tells where she lives.
    assert [row["user_id"] for row in card.likely_followers] == ["cay"]


def test_who_was_erased_is_on_no_other_card(cards: Cards, database: Database) -> None:
    Erasures(database, Path("none.toml")).erase(LOCAL, "bob", "asked")
    card = cards.card("ann")
    assert [row["influenced_id"] for row in card.follow_ups] == ["cay"]
    assert [row["user_id"] for row in card.likely_followers] == ["eve", "cay"]


def test_a_key_that_sees_one_category_finds_nobody_else(cards: Cards) -> None:
    # Of the three ann alone has a record in tea, which no column of her own row tells.
    tea = replace(HANGZHOU, row_scope={"category": ("tea",)})
    assert cards.card("ann", tea).follow_ups == []
    for view in (cards.card, cards.matches):
        with pytest.raises(NotFoundError, match="no user 'bob'"):
            view("bob", tea)
    assert [match.influencer_id for match in cards.matches("ann", tea)] == []


def test_each_view_is_in_the_audit_log(cards: Cards, database: Database) -> None:
    cards.card("ann", replace(HANGZHOU, row_scope={}), now=NOW, request_id="r1")
    cards.matches("cay", now=NOW)
    view, matches = Audit(database).read()
    assert (view.key_id, view.action, view.subject, view.model_version) == ("k1", "user.view", "ann", "koc/1")
    assert (view.rows, view.request_id, view.at) == (1, "r1", NOW)
    assert (matches.action, matches.subject, matches.rows) == ("user.matches", "cay", 2)


def test_d68_matches_of_a_member_are_the_likeliest_to_move_that_may_be_contacted(cards: Cards, database: Database) -> None:
    found = cards.matches("cay", now=NOW)
    assert [(match.influencer_id, match.strength, match.koc_score) for match in found] == [
        ("bob", 4.0, 2.0),
        ("ann", 2.0, 3.0),
    ]
    assert found[0].probability == pytest.approx(1 - 2.718281828**-0.3, rel=1e-6)
    assert found[1].activation == "lapsed"
    assert [match.influencer_id for match in cards.matches("cay", most=1)] == ["bob"]
    assert [match.influencer_id for match in cards.matches("cay", HANGZHOU)] == ["ann"]
    Suppressions(database, People(cards.served)).add(LOCAL, Cause.SUPPRESSED, ["bob"], "complaint", now=NOW)
    assert [match.influencer_id for match in cards.matches("cay", now=NOW)] == ["ann"]
    # Nobody leads bob but ann.
    assert [match.influencer_id for match in cards.matches("bob", now=NOW)] == ["ann"]


def test_without_a_batch_there_is_no_card(database: Database, tmp_path: Path) -> None:
    with pytest.raises((NoScoresError, ScoresError), match="no scores in"):
        Cards(Served(ScoreStore(tmp_path)), database).card("ann")
