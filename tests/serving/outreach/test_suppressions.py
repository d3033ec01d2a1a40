from pathlib import Path

import pytest

from features.errors import ConflictError, ForbiddenError, ListError, NotFoundError
from serving.access.audit import Audit
from serving.outreach.suppressions import Cause, Suppressions, blocked
from serving.state.database import Database
from tests.serving.outreach.shop import ALL, HANGZHOU, day, people_of


@pytest.fixture
def suppressions(database: Database, tmp_path: Path) -> Suppressions:
    return Suppressions(database, people_of(tmp_path))


def causes(database: Database, users: list[str] | None, at: float, channel: str | None = None) -> dict[str, str]:
    with database.read() as connection:
        found = blocked(connection, users, day(at), channel).to_pydict()
    return dict(zip(found["user_id"], found["cause"], strict=True))


def test_a_suppression_stands_from_its_start_until_it_expires(suppressions: Suppressions) -> None:
    suppressions.add(ALL, Cause.SUPPRESSED, ["u1"], "x", starts_at=day(1), expires_at=day(8), now=day(0))
    blocked_at = [bool(causes(suppressions.database, None, at)) for at in (0.99, 1, 7.99, 8)]
    assert blocked_at == [False, True, True, False]


def test_d62_consent_is_held_against_its_own_channel_and_all_channels_against_any(suppressions: Suppressions) -> None:
    suppressions.add(ALL, Cause.CONSENT_WITHDRAWN, ["u1"], "td", channel="sms", now=day(0))
    suppressions.add(ALL, Cause.CONSENT_WITHDRAWN, ["u2"], "td", now=day(0))
    database = suppressions.database
    assert causes(database, None, 1) == {"u2": "consent_withdrawn"}
    assert causes(database, None, 1, "sms") == {"u1": "consent_withdrawn", "u2": "consent_withdrawn"}
    assert causes(database, None, 1, "wecom") == {"u2": "consent_withdrawn"}


def test_of_several_causes_the_first_is_told_once(suppressions: Suppressions) -> None:
    for kind in (Cause.CONSENT_WITHDRAWN, Cause.SUPPRESSED, Cause.SUPPRESSED):
        suppressions.add(ALL, kind, ["u1"], "x", now=day(0))
    assert causes(suppressions.database, ["u1", "u2"], 1) == {"u1": "suppressed"}


def test_many_people_are_asked_about_as_well_as_few(suppressions: Suppressions) -> None:
    suppressions.add(ALL, Cause.SUPPRESSED, [f"v{n}" for n in range(2_000)], "x", now=day(0))
    many = [f"v{n}" for n in range(1_500, 3_000)]
    assert set(causes(suppressions.database, many, 1)) == {f"v{n}" for n in range(1_500, 2_000)}
    assert causes(suppressions.database, [], 1) == {}


def test_an_appeal_lifts_an_entry_once_and_for_all(suppressions: Suppressions) -> None:
    (entry,) = suppressions.add(ALL, Cause.SUPPRESSED, ["u1"], "ring", evidence="40 helpers", now=day(0))
    lifted = suppressions.lift(ALL, entry.suppression, "colleagues", now=day(2))
    assert (lifted.lifted_at, lifted.lifted_because) == (day(2), "colleagues")
    assert [bool(causes(suppressions.database, ["u1"], at)) for at in (1, 2)] == [True, False]
    with pytest.raises(ConflictError, match=f"suppression {entry.suppression} was lifted 2024-06-03"):
        suppressions.lift(ALL, entry.suppression, "again", now=day(3))
    with pytest.raises(NotFoundError, match="no suppression 99; GET /v1/users/ID/suppressions"):
        suppressions.lift(ALL, 99, "x")
    assert [one.lifted_because for one in suppressions.of(ALL, "u1")] == ["colleagues"]
    actions = [(one.action, one.subject) for one in Audit(suppressions.database).read(action="suppression")]
    assert actions == [("suppression.create", "u1"), ("suppression.lift", "u1")]


def test_an_end_before_the_start_is_refused(suppressions: Suppressions) -> None:
    with pytest.raises(ListError, match=r"expires_at 2024-06-02T00:00:00.* is not after its start 2024-06-03"):
        suppressions.add(ALL, Cause.SUPPRESSED, ["u1"], "x", starts_at=day(2), expires_at=day(1), now=day(0))


def test_a_key_speaks_of_people_inside_of_its_scope_only(suppressions: Suppressions) -> None:
    with pytest.raises(ForbiddenError, match=r"'hangzhou' sees only people of attribute_region Hangzhou: u1, u99; leave"):
        suppressions.add(HANGZHOU, Cause.SUPPRESSED, ["u0", "u1", "u99"], "x", now=day(0))
    assert causes(suppressions.database, None, 1) == {}
    (entry,) = suppressions.add(ALL, Cause.SUPPRESSED, ["u1"], "x", now=day(0))
    with pytest.raises(NotFoundError):
        suppressions.of(HANGZHOU, "u1")
    with pytest.raises(NotFoundError):
        suppressions.lift(HANGZHOU, entry.suppression, "x")
    assert suppressions.of(HANGZHOU, "u0") == []
