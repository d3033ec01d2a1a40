"""API keys: shown once, kept as hashes, with scopes, a row scope, expiry, rotation and revocation."""

import hashlib
import hmac
import math
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from features.errors import AccessError, ConflictError, NotFoundError
from serving.access.audit import Audit
from serving.access.principal import FOR_EVERYBODY, LOCAL, Principal, RowScope, Scope
from serving.state.database import Database
from serving.state.tables import api_keys
from serving.state.turns import Turns

SHAPE = re.compile(r"koc_([0-9a-f]{12})_([0-9a-f]{64})")
"""``koc_ID_SECRET``; the secret is 256 random bits, so that its plain hash cannot be guessed back."""

REMEMBERED_SECONDS = 1.0
"""How long a key that was looked up is believed; a revocation takes effect within this time. It is looked up again after
half of it."""

MOST_REMEMBERED = 10_000
GRACE = timedelta(days=1)
"""How long the old key of a rotation goes on working."""

NEW_KEY = "make one with `koc keys create NAME --scope read`"


@dataclass(frozen=True)
class Key:
    """What is kept of a key; its secret is not."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    row_scope: RowScope
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rotated_from: str | None

    def state(self, now: datetime) -> str:
        """``valid``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None and self.revoked_at <= now:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "valid"


@dataclass(frozen=True)
class _Known:
    """A key as it was looked up; ``key`` is None where there is none. ``turns``: who looks it up again."""

    turns: Turns
    key: Key | None
    secret_hash: bytes
    principal: Principal | None


class Keys:
    """The keys of one operations database."""

    def __init__(
        self, database: Database, *, remembered: float = REMEMBERED_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """remembered: seconds after a look that a key is believed at most; ``clock`` counts them."""
        self.database = database
        self.audit = Audit(database)
        self._remembered = remembered
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._changes = 0
        self._needed, self._needed_at = False, -math.inf

    def create(
        self,
        name: str,
        scopes: Iterable[str],
        row_scope: Mapping[str, Sequence[str]] | None = None,
        expires_at: datetime | None = None,
        *,
        by: Principal = LOCAL,
        now: datetime | None = None,
    ) -> tuple[str, Key]:
        """The text of a new key, which cannot be shown again, and what is kept of it.

        Raises:
            AccessError: an unknown scope or none, a row scope with a scope that acts on everybody, or an expiry in the past.
        """
        now = now or datetime.now(UTC)
        granted = _scopes(scopes)
        seen = {column: tuple(values) for column, values in (row_scope or {}).items()}
        if not name.strip():
            raise AccessError("a key needs a name, which logs and the audit show; name who will use it")
        if empty := [column for column, values in seen.items() if not values]:
            raise AccessError(f"the row scope of {', '.join(empty)} names no value, so that the key would see nobody")
        if seen and (wide := FOR_EVERYBODY & set(granted)):
            raise AccessError(
                f"a key with a row scope cannot have {' or '.join(sorted(wide))}, which act on everybody; make two keys"
            )
        if expires_at is not None and expires_at <= now:
            raise AccessError(f"the key would expire at {expires_at:%Y-%m-%d %H:%M}, which has passed; name a later moment")
        with self.database.write() as connection:
            return self._add(connection, Key("", name.strip(), granted, seen, now, expires_at, None, None), by, "key.create")

    def verify(self, text: str, now: datetime | None = None) -> Principal:
        """Who the key belongs to.

        Raises:
            AccessError: it is not a key, unknown, revoked or expired.
        """
        key_id, secret_hash = _parts(text)
        known = self._known.get(key_id)
        if known is None or known.turns.due:
            changes, known = self._changes, self._look_up(key_id)
            # What was read before a key was ended here is not what is known of it any more.
            if changes == self._changes:
                self._known[key_id] = known
        return _judge(known, secret_hash, now or datetime.now(UTC))

    def remembered(self, text: str, now: datetime | None = None) -> Principal | None:
        """As `verify`, but None where the caller has to ask that, and so the database: for callers that must not wait."""
        key_id, secret_hash = _parts(text)
        known = self._known.get(key_id)
        return None if known is None or known.turns.mine() else _judge(known, secret_hash, now or datetime.now(UTC))

    def rotate(
        self, key_id: str, grace: timedelta = GRACE, *, by: Principal = LOCAL, now: datetime | None = None
    ) -> tuple[str, Key]:
        """The text of a key that replaces this one, and what is kept of it; the old one ends after ``grace``.

        Raises:
            NotFoundError: there is no such key.
            ConflictError: it is revoked or expired.
        """
        now = now or datetime.now(UTC)
        with self.database.alone("keys") as connection:
            old = _required(connection, key_id)
            if (state := old.state(now)) != "valid":
                raise ConflictError(f"key {key_id} is {state} and cannot be rotated; {NEW_KEY}")
            ends = min(filter(None, (old.expires_at, now + grace)))
            connection.execute(api_keys.update().where(api_keys.c.key_id == key_id).values(expires_at=ends))
            new = Key("", old.name, old.scopes, old.row_scope, now, old.expires_at, None, key_id)
            made = self._add(connection, new, by, "key.rotate")
        self._forget(key_id)
        return made

    def revoke(self, key_id: str, *, by: Principal = LOCAL, now: datetime | None = None) -> Key:
        """End a key: at once in this process, within ``REMEMBERED_SECONDS`` in others. Once is as good as twice.

        Raises:
            NotFoundError: there is no such key.
        """
        now = now or datetime.now(UTC)
        with self.database.alone("keys") as connection:
            if _required(connection, key_id).revoked_at is None:
                connection.execute(api_keys.update().where(api_keys.c.key_id == key_id).values(revoked_at=now))
                self.audit.write(by, "key.revoke", key_id, connection=connection, now=now)
            revoked = _required(connection, key_id)
        self._forget(key_id)
        return revoked

    def acting(self, key_id: str, now: datetime | None = None) -> Principal:
        """Who acts for a key: itself or, once it has run out, the one that it was rotated to.

        Raises:
            AccessError: it is unknown or revoked, or expired without a valid one after it.
        """
        now, every = now or datetime.now(UTC), self.all()
        key = next((one for one in every if one.key_id == key_id), None)
        while key is not None and key.state(now) == "expired":
            after = next((one for one in every if one.rotated_from == key.key_id), None)
            if after is None:
                break
            key = after
        if key is None or (state := key.state(now)) != "valid":
            raise AccessError(f"key {key_id} is {'unknown' if key is None else state}; {NEW_KEY}")
        with self.database.read() as connection:
            return _principal(connection, key)

    def all(self) -> list[Key]:
        """Every key that was ever made, the newest first."""
        with self.database.read() as connection:
            found = connection.execute(sa.select(api_keys).order_by(api_keys.c.created_at.desc(), api_keys.c.key_id))
            return [_key(row) for row in found.mappings()]

    def any_valid(self, now: datetime | None = None) -> bool:
        """Whether there is a key that works."""
        now = now or datetime.now(UTC)
        return any(key.state(now) == "valid" for key in self.all())

    def needed(self) -> bool:
        """Whether a key was ever made; from then on requests need one. Asked of the database once a second at most."""
        if self._needed:
            return True
        now = self._clock()
        if now - self._needed_at >= self._remembered:
            with self.database.read() as connection:
                self._needed = connection.execute(sa.select(api_keys.c.key_id).limit(1)).first() is not None
            self._needed_at = now
        return self._needed

    def _add(self, connection: sa.Connection, key: Key, by: Principal, action: str) -> tuple[str, Key]:
        key_id, secret = secrets.token_hex(6), secrets.token_hex(32)
        row = {
            **vars(key),
            "key_id": key_id,
            "scopes": list(key.scopes),
            "row_scope": {column: list(values) for column, values in key.row_scope.items()},
            "secret_hash": hashlib.sha256(secret.encode()).hexdigest(),
        }
        connection.execute(api_keys.insert().values(**row))
        told = {"name": key.name, "scopes": row["scopes"], "row_scope": row["row_scope"], "rotated_from": key.rotated_from}
        self.audit.write(by, action, key_id, criteria=told, connection=connection, now=key.created_at)
        return f"koc_{key_id}_{secret}", _required(connection, key_id)

    def _forget(self, key_id: str) -> None:
        self._changes += 1
        self._known.pop(key_id, None)

    def _look_up(self, key_id: str) -> _Known:
        turns = Turns(self._remembered / 2, self._remembered, self._clock, looked=self._clock())
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        with self.database.read() as connection:
            row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).mappings().first()
            if row is None:
                return _Known(turns, None, b"", None)
            key = _key(row)
            return _Known(turns, key, row["secret_hash"].encode(), _principal(connection, key))


def _scopes(names: Iterable[str]) -> tuple[Scope, ...]:
    wanted = set(names)
    if unknown := wanted - set(Scope):
        raise AccessError(f"unknown scope {', '.join(map(repr, sorted(unknown)))}; choose from {', '.join(Scope)}")
    if not wanted:
        raise AccessError(f"a key without a scope may do nothing; choose from {', '.join(Scope)}")
    return tuple(scope for scope in Scope if scope in wanted)


def _parts(text: str) -> tuple[str, bytes]:
    """The id of a key and the hash of its secret."""
    found = SHAPE.fullmatch(text)
    if found is None:
        raise AccessError(f"this is not a key; send one as `Authorization: Bearer koc_...`, or {NEW_KEY}")
    return found[1], hashlib.sha256(found[2].encode()).hexdigest().encode()


def _judge(known: _Known, secret_hash: bytes, now: datetime) -> Principal:
    # A wrong secret is told nothing of the key that it guesses at.
    if known.key is None or known.principal is None or not hmac.compare_digest(known.secret_hash, secret_hash):
        raise AccessError(f"this key is unknown here; check that it was copied whole and made for this --home, or {NEW_KEY}")
    if (state := known.key.state(now)) != "valid":
        ended = known.key.revoked_at if state == "revoked" else known.key.expires_at
        raise AccessError(
            f"key {known.key.name!r} ({known.key.key_id}) is {state} since {ended:%Y-%m-%d %H:%M} UTC; {NEW_KEY}"
        )
    return known.principal


def _principal(connection: sa.Connection, key: Key) -> Principal:
    earlier: list[str] = []
    before = key.rotated_from
    while before is not None:
        earlier.append(before)
        before = connection.execute(sa.select(api_keys.c.rotated_from).where(api_keys.c.key_id == before)).scalar()
    return Principal(key.key_id, key.name, frozenset(key.scopes), key.row_scope, tuple(earlier))


def _key(row: Mapping[Any, Any]) -> Key:
    fields = {name: value for name, value in row.items() if name != "secret_hash"}
    seen = {column: tuple(values) for column, values in fields["row_scope"].items()}
    return Key(**{**fields, "scopes": tuple(map(Scope, fields["scopes"])), "row_scope": seen})


def _required(connection: sa.Connection, key_id: str) -> Key:
    row = connection.execute(sa.select(api_keys).where(api_keys.c.key_id == key_id)).mappings().first()
    if row is None:
        raise NotFoundError(f"no key {key_id!r}; `koc keys list` shows those there are")
    return _key(row)
