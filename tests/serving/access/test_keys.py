import hashlib
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from features.errors import AccessError, ConflictError, NotFoundError
from serving.access import keys as keys_module
from serving.access.keys import GRACE, Keys
from serving.access.principal import Principal, Scope
from serving.state.database import Database
from serving.state.tables import api_keys

NOW = datetime(2024, 5, 31, 12, tzinfo=UTC)
BOSS = Principal("boss", "boss", frozenset(Scope))


class Clock:
    """Seconds that pass when a test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(database: Database, clock: Clock) -> Keys:
    return Keys(database, clock=clock)


def test_a_key_is_its_text_and_knows_what_it_may_do(keys: Keys) -> None:
    text, key = keys.create("ops", ["operate", "read"], {"attribute_region": ["Hangzhou"]}, now=NOW)
    assert re.fullmatch(r"koc_[0-9a-f]{12}_[0-9a-f]{64}", text)
    assert keys.verify(text, NOW) == Principal(
        key.key_id, "ops", frozenset({Scope.READ, Scope.OPERATE}), {"attribute_region": ("Hangzhou",)}
    )


def test_the_secret_is_kept_as_its_hash_alone(keys: Keys, database: Database) -> None:
    text, _ = keys.create("ops", ["read"])
    secret = text.rpartition("_")[2]
    with database.read() as connection:
        row = connection.execute(sa.select(api_keys)).one()
    assert secret not in str(row)
    assert row.secret_hash == hashlib.sha256(secret.encode()).hexdigest()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1] + ("0" if text[-1] != "0" else "1"),
        lambda text: "koc_" + "0" * 12 + text[16:],
        lambda text: text[:-1],
        lambda text: text + "0",
        lambda text: text + "\n",
        lambda _: "",
        lambda text: text.upper(),
    ],
)
def test_a_key_that_differs_by_anything_is_refused(keys: Keys, spoil: Any) -> None:
    text, _ = keys.create("ops", ["read"])
    with pytest.raises(AccessError, match=r"this (key is unknown here; check|is not a key; send one)"):
        keys.verify(spoil(text))


def test_a_wrong_secret_is_refused_after_the_right_one_was_seen(keys: Keys) -> None:
    text, _ = keys.create("ops", ["read"])
    keys.verify(text)
    with pytest.raises(AccessError, match="unknown"):
        keys.verify(text[:-4] + "0000")
    keys.verify(text)


def test_a_key_ends_when_it_expires_even_while_it_is_remembered(keys: Keys) -> None:
    text, _ = keys.create("ops", ["read"], expires_at=NOW + timedelta(seconds=1), now=NOW)
    keys.verify(text, NOW)
    with pytest.raises(
        AccessError, match=r"key 'ops' .* is expired since 2024-05-31 12:00 UTC; make one with `koc keys create"
    ):
        keys.verify(text, NOW + timedelta(seconds=1))


def test_a_revoked_key_is_refused_at_once(keys: Keys) -> None:
    text, key = keys.create("ops", ["read"])
    keys.verify(text)
    keys.revoke(key.key_id)
    with pytest.raises(AccessError, match="is revoked since"):
        keys.verify(text)


def test_another_process_refuses_a_revoked_key_within_a_second(keys: Keys, database: Database, clock: Clock) -> None:
    other = Keys(database)
    text, key = other.create("ops", ["read"])
    keys.verify(text)
    other.revoke(key.key_id)
    clock.now = 0.49
    assert keys.remembered(text) is not None
    clock.now = 0.99
    assert [keys.remembered(text) is None for _ in range(3)] == [True, False, False], "one is sent to look it up again"
    clock.now = 1.0
    assert [keys.remembered(text) is None for _ in range(3)] == [True, True, True], "what is known is too old for anybody"
    clock.now = 0.5
    with pytest.raises(AccessError, match="is revoked"):
        keys.verify(text)


def test_who_read_a_key_before_it_was_revoked_here_remembers_nothing(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    text, key = keys.create("ops", ["read"])
    found = keys_module._principal

    def and_meanwhile(*asked: Any) -> Any:
        answer = found(*asked)
        monkeypatch.undo()
        keys.revoke(key.key_id)
        return answer

    monkeypatch.setattr(keys_module, "_principal", and_meanwhile)
    keys.verify(text)
    with pytest.raises(AccessError, match="is revoked"):
        keys.verify(text)


def test_revoking_twice_is_revoking_once(keys: Keys) -> None:
    _, key = keys.create("ops", ["read"])
    first = keys.revoke(key.key_id, now=key.created_at)
    assert keys.revoke(key.key_id) == first
    assert [entry.action for entry in keys.audit.read()] == ["key.create", "key.revoke"]


def test_after_a_rotation_both_keys_work_for_a_while(keys: Keys) -> None:
    old, key = keys.create("ops", ["operate"], {"region": ["a"]}, NOW + timedelta(days=30), now=NOW)
    new, made = keys.rotate(key.key_id, now=NOW)
    assert (made.name, made.scopes, made.row_scope, made.rotated_from) == (
        "ops",
        ("operate",),
        {"region": ("a",)},
        key.key_id,
    )
    assert made.expires_at == NOW + timedelta(days=30)
    last = NOW + GRACE - timedelta(seconds=1)
    assert keys.verify(old, last).scopes == keys.verify(new, last).scopes
    with pytest.raises(AccessError, match="is expired"):
        keys.verify(old, NOW + GRACE)
    keys.verify(new, NOW + GRACE)


def test_a_rotation_does_not_lengthen_the_old_key(keys: Keys) -> None:
    old, key = keys.create("ops", ["read"], expires_at=NOW + timedelta(hours=1), now=NOW)
    keys.rotate(key.key_id, now=NOW)
    with pytest.raises(AccessError, match="is expired"):
        keys.verify(old, NOW + timedelta(hours=1))


def test_a_rotation_without_grace_ends_the_old_key(keys: Keys) -> None:
    old, key = keys.create("ops", ["read"], now=NOW)
    keys.rotate(key.key_id, timedelta(0), now=NOW)
    with pytest.raises(AccessError, match="is expired"):
        keys.verify(old, NOW)


def test_a_spent_key_cannot_be_rotated(keys: Keys) -> None:
    _, key = keys.create("ops", ["read"])
    keys.revoke(key.key_id)
    with pytest.raises(ConflictError, match=f"key {key.key_id} is revoked and cannot be rotated"):
        keys.rotate(key.key_id)


@pytest.mark.parametrize("action", ["rotate", "revoke"])
def test_a_key_that_is_not_there_is_named(keys: Keys, action: str) -> None:
    with pytest.raises(NotFoundError, match="no key 'nope'; `koc keys list` shows those there are"):
        getattr(keys, action)("nope")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"scopes": ["read", "rule"]}, "unknown scope 'rule'; choose from read, operate, train, admin, identify"),
        ({"scopes": []}, "a key without a scope may do nothing"),
        ({"name": " "}, "a key needs a name"),
        ({"row_scope": {"region": []}}, "the row scope of region names no value"),
        ({"scopes": ["admin"], "row_scope": {"region": ["a"]}}, "cannot have admin, which act on everybody; make two keys"),
        ({"expires_at": NOW}, "would expire at 2024-05-31 12:00, which has passed"),
    ],
)
def test_a_key_that_would_make_no_sense_is_not_made(keys: Keys, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(AccessError, match=said):
        keys.create(**{"name": "ops", "scopes": ["read"], "now": NOW, **asked})
    assert keys.all() == []


def test_who_made_rotated_and_revoked_keys_is_in_the_log_without_secrets(keys: Keys) -> None:
    text, key = keys.create("ops", ["read"], by=BOSS)
    _, made = keys.rotate(key.key_id, by=BOSS)
    keys.revoke(made.key_id, by=BOSS)
    found = keys.audit.read(key="boss")
    assert [(entry.action, entry.subject) for entry in found] == [
        ("key.create", key.key_id), ("key.rotate", made.key_id), ("key.revoke", made.key_id)
    ]  # fmt: skip
    assert text.rpartition("_")[2] not in str(found)


def test_whether_a_key_is_needed_and_whether_one_works(keys: Keys, clock: Clock) -> None:
    assert (keys.needed(), keys.any_valid()) == (False, False)
    _, key = keys.create("ops", ["read"])
    clock.now = 1.0
    assert (keys.needed(), keys.any_valid()) == (True, True)
    keys.revoke(key.key_id)
    assert (keys.needed(), keys.any_valid()) == (True, False), "a service whose keys have ended is not open to all"


def test_verifying_a_remembered_key_asks_no_database(keys: Keys, database: Database) -> None:
    text, _ = keys.create("ops", ["read"])
    keys.verify(text)
    database.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "read", None)
        start = time.perf_counter()
        for _ in range(1000):
            keys.verify(text)
    assert time.perf_counter() - start < 0.1, "more than 100 microseconds each"


def test_nobody_revokes_a_key_in_the_middle_of_its_rotation(
    database: Database, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = keys.create("ops", ["read"])
    found = keys_module._required
    revoking = threading.Thread(target=Keys(database).revoke, args=(key.key_id,))

    def and_meanwhile(*asked: Any) -> Any:
        answer = found(*asked)
        if revoking.ident is None:
            revoking.start()
            revoking.join(0.5)
        return answer

    monkeypatch.setattr(keys_module, "_required", and_meanwhile)
    keys.rotate(key.key_id)
    revoking.join()
    actions = [entry.action for entry in keys.audit.read()]
    assert actions == ["key.create", "key.rotate", "key.revoke"]


def test_a_rotated_key_acts_for_the_old_one_and_owns_what_it_made(keys: Keys) -> None:
    _, first = keys.create("ops", ["read"], now=NOW)
    _, second = keys.rotate(first.key_id, now=NOW)
    text, third = keys.rotate(second.key_id, now=NOW + timedelta(minutes=1))
    now = keys.verify(text, NOW)
    assert now.earlier == (second.key_id, first.key_id)
    assert [now.owns(one) for one in (first.key_id, third.key_id, "other")] == [True, True, False]
    assert not keys.acting(first.key_id, NOW).owns(third.key_id)
    assert keys.acting(first.key_id, NOW + 2 * GRACE).key_id == third.key_id
    keys.revoke(third.key_id, now=NOW)
    for key_id, said in ((first.key_id, "revoked"), (third.key_id, "revoked"), ("none", "unknown")):
        with pytest.raises(AccessError, match=f"key {key_id} is {said}"):
            keys.acting(key_id, NOW + 2 * GRACE)
