import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import ConflictError, ForbiddenError, ListError, NotFoundError, ScoresError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal, Scope
from serving.lists.lists import CandidateList
from serving.lists.payload import checksum
from serving.state.database import Database
from serving.state.tables import list_members, outreach, reservations, suppressions
from serving.store.score_store import ScoreStore
from tests.serving.batches import REGIONS, TIERS, random_users, write_random, write_table
from tests.serving.lists.conftest import NOW, Room, criteria, room_of, ties

HANGZHOU = Principal("k1", "hz", frozenset({Scope.OPERATE}), {"attribute_region": ("Hangzhou",)})
_keys = count()


def users(room: Room, made: CandidateList) -> list[str]:
    found: list[str] = room.lists.payload(made).user_ids.to_pylist()
    return found


def contact(room: Room, user: str, at: datetime) -> None:
    row = {"key": f"k{next(_keys)}", "campaign_id": "c", "user_id": user, "arm": "contacted", "contacted_at": at}
    with room.database.write() as connection:
        connection.execute(sa.insert(outreach).values(**row, recorded_at=at))


def stop(room: Room, user: str, kind: str, at: datetime = NOW, channel: str | None = None) -> None:
    row = {"user_id": user, "kind": kind, "channel": channel, "code": "asked", "starts_at": at, "key_id": "local"}
    with room.database.write() as connection:
        connection.execute(sa.insert(suppressions).values(**row))


def test_the_best_are_listed_in_order_and_reserved(by_hand: Callable[..., Room]) -> None:
    room = by_hand([{"user_id": user} for user in "abcd"])
    made = room.lists.create(LOCAL, criteria(2), name="first", now=NOW)
    assert (users(room, made), made.rows, made.arms, made.shortfalls) == (["a", "b"], 2, {"contact": 2}, ())
    assert made.expires_at == NOW + timedelta(days=14)
    assert room.lists.get(LOCAL, made.list_id) == made
    # Those of the first list are reserved until it ends.
    second = room.lists.create(LOCAL, criteria(2, reserve_days=1), now=NOW + timedelta(hours=1))
    assert users(room, second) == ["c", "d"]
    third = room.lists.create(LOCAL, criteria(3), now=NOW + timedelta(days=1, hours=1))
    assert users(room, third) == ["c", "d"]
    assert third.shortfalls[0].left_out == {"reserved": 2}
    assert third.shortfalls[0].reason == "2 of 3; of 4 people 2 are reserved for another list"
    found, more = room.lists.all(LOCAL, limit=2)
    assert ([one.list_id for one in found], more) == ([third.list_id, second.list_id], True)
    assert [one.name for one in room.lists.all(LOCAL, before=NOW + timedelta(seconds=1))[0]][-1] is not None
    entry = Audit(room.database).read(action="list.create")[0]
    assert (entry.subject, entry.rows, entry.criteria) == (made.list_id, 2, {"size": 2})


def test_a_closed_list_frees_its_people_and_keeps_its_rows(by_hand: Callable[..., Room]) -> None:
    room = by_hand([{"user_id": "a"}])
    made = room.lists.create(LOCAL, criteria(1), now=NOW)
    closed = room.lists.close(LOCAL, made.list_id, now=NOW + timedelta(hours=1))
    assert closed.expires_at == NOW + timedelta(hours=1)
    assert users(room, closed) == ["a"]
    assert users(room, room.lists.create(LOCAL, criteria(1), now=NOW + timedelta(hours=2))) == ["a"]
    with pytest.raises(ConflictError, match="has ended 2024-06-02T10:00"):
        room.lists.close(LOCAL, made.list_id, now=NOW + timedelta(hours=3))


def test_whom_operations_may_not_contact_is_left_out_with_the_cause(by_hand: Callable[..., Room]) -> None:
    room = by_hand([{"user_id": f"u{number}"} for number in range(10)])
    contact(room, "u0", NOW - timedelta(days=3))
    contact(room, "u1", NOW - timedelta(days=31))
    for hour in range(4):
        contact(room, "u2", NOW - timedelta(days=20, hours=hour))
    stop(room, "u3", "suppressed", NOW - timedelta(days=1))
    stop(room, "u4", "erased")
    stop(room, "u5", "consent_withdrawn")
    stop(room, "u6", "consent_withdrawn", channel="phone")
    before = room.lists.create(LOCAL, criteria(1, filters={"koc_score": 3.0}), now=NOW - timedelta(days=60))
    assert users(room, before) == ["u7"]
    wanted = criteria(10, cool_down_days=7, exclude={"user_ids": ["u8", "nobody"], "lists": [before.list_id]})
    made = room.lists.create(LOCAL, wanted, excluded=["u9"], now=NOW)
    assert users(room, made) == ["u1", "u6"]
    assert made.shortfalls[0].left_out == {
        "cool_down": 1, "contact_cap": 1, "suppressed": 1, "erased": 1, "consent_withdrawn": 1, "excluded": 3,
    }  # fmt: skip
    assert made.criteria.exclude.user_ids == ("u8", "nobody", "u9")


def test_d65_quotas_and_their_gaps(by_hand: Callable[..., Room]) -> None:
    regions = ["H", "H", "S", "H", "W", None]
    room = by_hand([{"user_id": f"u{place}", "attribute_region": region} for place, region in enumerate(regions)])
    quota = {"attribute_region": {"H": 2, "S": 3, "*": 1, "Nowhere": 1}}
    made = room.lists.create(LOCAL, criteria(10, quotas=quota), now=NOW)
    assert users(room, made) == ["u0", "u1", "u2", "u4"]
    gaps = {one.value: (one.asked, one.found, one.known, dict(one.left_out)) for one in made.shortfalls}
    assert gaps == {
        None: (10, 4, 6, {"quota": 2}),
        "S": (3, 1, 1, {}),
        "Nowhere": (1, 0, 0, {}),
    }
    with pytest.raises(ListError, match="no user has attribute_region 'Hangzou'; choose from H, S, W"):
        room.lists.create(LOCAL, criteria(1, quotas={"attribute_region": {"Hangzou": 2}}), now=NOW)
    with pytest.raises(ListError, match=r"a quota by 'koc_score' needs a column of labels; choose from .*attribute_region"):
        room.lists.create(LOCAL, criteria(1, quotas={"koc_score": {"1": 2}}), now=NOW)


def test_d69_diversity_of_groups_cliques_and_audiences(by_hand: Callable[..., Room]) -> None:
    # a and b are tied; a and c reach the same person; d reaches another one.
    tied = ties(("b", "a"), ("a", "x"), ("c", "x"), ("d", "y"))
    people = [
        {"user_id": user, "community_id": group} for user, group in zip("abcde", ["g", "h", "g", None, None], strict=True)
    ]
    room = by_hand(people, ties=tied)
    hours = (NOW + timedelta(days=30 * number) for number in count())

    def listed(**diversity: Any) -> list[str]:
        return users(room, room.lists.create(LOCAL, criteria(3, diversity=diversity), now=next(hours)))

    assert listed() == ["a", "b", "c"]
    assert listed(most_each={"community_id": 1}) == ["a", "b", "d"]
    assert listed(most_per_clique=1) == ["a", "c", "d"]
    assert listed(least_overlap=True) == ["a", "b", "d"]


def test_members_of_a_community_are_held_out_together_in_every_list(tmp_path: Path, database: Database) -> None:
    people = random_users(300).append_column("community_id", [[f"g{number % 40}" for number in range(300)]])
    store = ScoreStore(tmp_path)
    write_table(store, people)
    room = room_of(store, database)
    arms: dict[str, set[str]] = {}
    for number in range(2):
        made = room.lists.create(LOCAL, criteria(300, holdout=0.3), now=NOW + timedelta(days=20 * number))
        rows = room.lists.payload(made).table(["community_id", "arm"]).to_pylist()
        assert made.arms == dict(sorted(Counter(row["arm"] for row in rows).items()))
        for row in rows:
            arms.setdefault(row["community_id"], set()).add(row["arm"])
    assert len(arms) == 40
    assert all(len(found) == 1 for found in arms.values())
    assert set.union(*arms.values()) == {"contact", "holdout"}


def test_a_list_never_changes(tmp_path: Path, database: Database) -> None:
    store = write_random(tmp_path, users=50)
    room = room_of(store, database)
    made = room.lists.create(LOCAL, criteria(20, holdout=0.2), now=NOW)
    before = room.lists.payload(made).content
    write_random(tmp_path, users=60, seed=1)
    later = room_of(store, database)
    assert later.served.batch.manifest.batch != made.batch
    assert later.lists.payload(later.lists.get(LOCAL, made.list_id)).content == before
    assert checksum(before) == made.checksum


def test_whoever_tries_again_finds_the_list(room: Room) -> None:
    made = room.lists.create(LOCAL, criteria(5), list_id="job-1", now=NOW)
    again = room.lists.create(LOCAL, criteria(5), list_id="job-1", now=NOW + timedelta(hours=1))
    assert again == made
    with pytest.raises(ConflictError, match="'job-1' exists already"):
        room.lists.create(HANGZHOU, criteria(5), list_id="job-1", now=NOW)


def test_an_attempt_that_was_overtaken_finds_the_list(room: Room) -> None:
    made: list[CandidateList] = []

    def overtaken(step: str, _: float) -> None:
        if step == "scores":
            made.append(room.lists.create(LOCAL, criteria(5), list_id="job-1", now=NOW))

    assert room.lists.create(LOCAL, criteria(5), list_id="job-1", progress=overtaken, now=NOW) == made[0]


def test_what_happens_while_other_lists_are_made_counts(by_hand: Callable[..., Room]) -> None:
    room = by_hand([{"user_id": "a"}, {"user_id": "b"}])

    def suppressed(step: str, _: float) -> None:
        if step == "scores":
            stop(room, "a", "suppressed", datetime.now(UTC))

    assert users(room, room.lists.create(LOCAL, criteria(2), progress=suppressed)) == ["b"]


def test_no_request_holds_two_connections(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for hour in range(3):
        room.lists.create(LOCAL, criteria(5), now=NOW + timedelta(hours=hour))
    held, read = [0], Database.read

    @contextmanager
    def counted(database: Database) -> Iterator[sa.Connection]:
        held[0] += 1
        assert held[0] == 1
        try:
            with read(database) as connection:
                yield connection
        finally:
            held[0] -= 1

    monkeypatch.setattr(Database, "read", counted)
    found, more = room.lists.all(LOCAL, limit=2)
    assert (len(found), more) == (2, True)
    assert room.lists.all(HANGZHOU, limit=2) == room.lists.all(HANGZHOU)


def test_who_stops_halfway_leaves_nothing(room: Room) -> None:
    steps: list[str] = []

    def progress(step: str, share: float) -> None:
        assert 0 <= share <= 1
        steps.append(step)
        if step == "members":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.lists.create(LOCAL, criteria(5), progress=progress, now=NOW)
    assert steps == ["scores", "people", "rows", "members"]
    assert room.lists.all(LOCAL) == ([], False)
    with room.database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(reservations)).scalar_one() == 0


def test_d59_a_key_with_a_row_scope_lists_and_sees_its_rows_only(room: Room) -> None:
    everybody = room.lists.create(LOCAL, criteria(100, exclude={"user_ids": ["secret"]}), now=NOW)
    mine = room.lists.create(HANGZHOU, criteria(1000), now=NOW)
    regions = room.lists.payload(mine).table(["attribute_region"])["attribute_region"].to_pylist()
    assert set(regions) == {"Hangzhou"}
    # Nobody outside is counted: all that are missing are of Hangzhou.
    short = mine.shortfalls[0]
    assert short.known == len(regions) + short.left_out["reserved"]
    seen = room.lists.get(HANGZHOU, everybody.list_id)
    assert seen.rows == sum(seen.arms.values()) == short.left_out["reserved"]
    assert (seen.shortfalls, seen.criteria.exclude.user_ids) == ((), ())
    # Closing would free people of others.
    with pytest.raises(ForbiddenError, match="has people whom key 'hz' does not see"):
        room.lists.close(HANGZHOU, everybody.list_id, now=NOW)
    assert room.lists.close(HANGZHOU, mine.list_id, now=NOW).expires_at == NOW
    elsewhere = Principal("k2", "none", frozenset({Scope.READ}), {"attribute_region": ("Nowhere",)})
    for missing in (everybody.list_id, "no-list"):
        with pytest.raises(NotFoundError, match=f"no list '{missing}'"):
            room.lists.get(elsewhere, missing)
    assert room.lists.all(elsewhere) == ([], False)


def test_an_error_tells_no_values_of_people_outside(tmp_path: Path, database: Database) -> None:
    store = ScoreStore(tmp_path)
    everybody = random_users(300)
    phones = pa.array([f"tel {place}" for place in range(300)])
    write_table(store, everybody.append_column("attribute_phone", phones))
    room = room_of(store, database)
    with pytest.raises(ListError) as caught:
        room.lists.create(HANGZHOU, criteria(1, quotas={"attribute_phone": {"tel": 1}}), now=NOW)
    regions = dict(zip(phones.to_pylist(), everybody["attribute_region"].to_pylist(), strict=True))
    told = [text.strip(" .") for text in str(caught.value).partition("choose from ")[2].split(",")]
    assert {regions[text] for text in told} == {"Hangzhou"}


def test_what_the_batch_does_not_know_is_an_error(room: Room) -> None:
    with pytest.raises(ScoresError, match="attribute_regio"):
        room.lists.create(LOCAL, criteria(1, filters={"attribute_regio": "x"}))
    with pytest.raises(ScoresError, match="no user has attribute_tier 'platin'"):
        room.lists.create(LOCAL, criteria(1, rules={"good": {"attribute_tier": "platin"}}))
    with pytest.raises(ListError, match="objective 'acquire' needs expected_new"):
        room.lists.create(LOCAL, criteria(1, objective="acquire"))
    with pytest.raises(NotFoundError, match="no list 'other'"):
        room.lists.create(LOCAL, criteria(1, exclude={"lists": ["other"]}))


def test_operators_who_ask_at_the_same_instant_share_nobody(random_store: ScoreStore, database_url: str) -> None:
    opened = [Database(database_url) for _ in range(4)]
    rooms = [room_of(random_store, one) for one in opened]
    ready, made, wrong = threading.Barrier(4), [], []

    def ask(room: Room) -> None:
        ready.wait()
        try:
            made.append(room.lists.create(LOCAL, criteria(40), now=NOW))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(room,)) for room in rooms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    listed = [user for one in made for user in users(rooms[0], one)]
    assert (len(listed), len(set(listed))) == (160, 160)
    with opened[0].read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(list_members)).scalar_one() == 160
    for one in opened:
        one.close()


FILTERS: tuple[dict[str, Any], ...] = ({}, {"koc_percentile": {"min": 30}}, {"category": "beauty"}, {"reachable": "sms"})
DIVERSITY: tuple[dict[str, Any], ...] = (
    {},
    {"most_each": {"attribute_owner": 4}},
    {"most_per_clique": 1},
    {"least_overlap": True},
)


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    quota = st.dictionaries(st.sampled_from([*REGIONS, "*"]), st.integers(0, 12), min_size=1)
    return {
        "size": draw(st.integers(1, 60)),
        "objective": draw(st.sampled_from(["influence", "value"])),
        "filters": draw(st.sampled_from(FILTERS)),
        "cool_down_days": draw(st.sampled_from([0, 5, 20])),
        "exclude": {"user_ids": draw(st.lists(st.integers(0, 199).map("u{:05}".format), max_size=20))},
        "quotas": draw(st.one_of(st.just({}), st.fixed_dictionaries({"attribute_region": quota}))),
        "diversity": draw(st.sampled_from(DIVERSITY)),
        "holdout": draw(st.sampled_from([0.0, 0.3])),
    }


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.lists(asked(), min_size=1, max_size=3),
    contacts=st.lists(st.tuples(st.integers(0, 199), st.integers(0, 30)), max_size=60),
    stopped=st.sets(st.integers(0, 199), max_size=20),
    scope=st.sampled_from([{}, {"attribute_tier": TIERS[:2]}]),
)
def test_every_rule_holds(
    random_store: ScoreStore, new_sqlite: Callable[[], str], wanted: list[dict[str, Any]], contacts: list[tuple[int, int]],
    stopped: set[int], scope: dict[str, tuple[str, ...]],
) -> None:  # fmt: skip
    database = Database(new_sqlite(), migrate=False)
    room = room_of(random_store, database)
    who = Principal("k", "op", frozenset({Scope.OPERATE}), scope)
    for number, days in contacts:
        contact(room, f"u{number:05}", NOW - timedelta(days=days))
    for number in stopped:
        stop(room, f"u{number:05}", "suppressed", NOW - timedelta(days=1))
    reserved: set[str] = set()
    arms: dict[str, str] = {}
    tied = {frozenset(pair) for pair in zip(*random_store.open().ties().select([0, 1]).to_pydict().values(), strict=True)}
    for one in wanted:
        made = room.lists.create(who, criteria(**one), now=NOW)
        rows = room.lists.payload(made).table().to_pylist()
        listed = [row["user_id"] for row in rows]
        assert len(set(listed)) == len(rows) == made.rows <= one["size"]
        assert not set(listed) & reserved
        reserved |= set(listed)
        assert not set(listed) & {f"u{number:05}" for number in stopped}
        assert not set(listed) & set(one["exclude"]["user_ids"])
        assert not set(listed) & {f"u{number:05}" for number, days in contacts if days < one["cool_down_days"]}
        often = Counter(f"u{number:05}" for number, days in contacts if days < 30)
        assert all(often[user] < 4 for user in listed)
        assert all(row[column] in values for row in rows for column, values in scope.items())
        for values in one["quotas"].values():
            got = Counter(row["attribute_region"] if row["attribute_region"] in values else "*" for row in rows)
            assert all(number <= values.get(value, 0) for value, number in got.items())
            told = {short.value: short.missing for short in made.shortfalls if short.column}
            assert told == {value: number - got[value] for value, number in values.items() if got[value] < number}
        if "most_each" in one["diversity"]:
            assert max(Counter(row["attribute_owner"] for row in rows if row["attribute_owner"]).values(), default=0) <= 4
        if "most_per_clique" in one["diversity"]:
            assert not any(frozenset((a, b)) in tied for a in listed for b in listed if a != b)
        if not one["diversity"].get("least_overlap"):
            assert [row["list_score"] for row in rows] == sorted((row["list_score"] for row in rows), reverse=True)
        if one["holdout"]:
            for row in rows:
                assert arms.setdefault(row["user_id"], row["arm"]) == row["arm"]
        else:
            assert {row["arm"] for row in rows} <= {"contact"}
        assert (made.rows < one["size"]) == any(short.column is None for short in made.shortfalls)
    database.close()
