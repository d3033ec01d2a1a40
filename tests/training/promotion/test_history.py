from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import ConflictError
from training.promotion.history import Change, champion_at, changes_of, next_moment, previous

START = datetime(2024, 1, 1, tzinfo=UTC)
STEPS = st.lists(st.tuples(st.integers(-5, 50), st.one_of(st.just("rollback"), st.integers(1, 5))), max_size=25)


def scripted(steps: Sequence[tuple[int, str | int]]) -> tuple[list[Change], list[tuple[datetime, int]]]:
    """Changes as a registry gets them, and beside them, kept by hand, who reigns from when on."""
    changes = [Change(START, 1, "first", "registration", "there was no champion")]
    reigns, line, clock = [(START, 1)], [1], START
    for minutes, step in steps:
        clock += timedelta(minutes=minutes)
        at = next_moment(changes, clock)
        if step == "rollback":
            if len(line) < 2:
                with pytest.raises(ConflictError, match="no champion before the present one"):
                    previous(changes)
                continue
            line.pop()
            changes.append(Change(at, previous(changes), "rollback", "li", "worse"))
        elif step == line[-1]:
            continue
        else:
            line.append(int(step))
            changes.append(Change(at, int(step), "promote", "li", "better", ("ece overall: off",)))
        reigns.append((at, line[-1]))
    return changes, reigns


@given(STEPS)
def test_the_champion_of_every_moment_is_right(steps: list[tuple[int, str | int]]) -> None:
    changes, reigns = scripted(steps)
    assert [change.at for change in changes] == sorted({change.at for change in changes})
    ends = [start for start, _ in reigns[1:]] + [datetime.max.replace(tzinfo=UTC)]
    for (start, version), end in zip(reigns, ends, strict=True):
        for moment in (start, start + (end - start) / 2, end - timedelta(microseconds=1)):
            found = champion_at(changes, moment)
            assert found is not None
            assert (found.version, found.at) == (version, start)
    assert champion_at(changes, START - timedelta(microseconds=1)) is None


@given(STEPS)
def test_changes_come_back_from_the_tags_of_their_versions(steps: list[tuple[int, str | int]]) -> None:
    changes, _ = scripted(steps)
    tags: dict[int, dict[str, str]] = {}
    for change in changes:
        name, value = change.as_tag()
        tags.setdefault(change.version, {"other": "tag"})[name] = value
    found = [change for version, own in tags.items() for change in changes_of(version, own)]
    assert sorted(found, key=lambda change: change.at) == changes


def test_a_rollback_after_a_rollback_goes_further_back() -> None:
    changes, reigns = scripted([(1, 2), (1, 3), (1, "rollback"), (1, "rollback"), (1, 4), (1, "rollback")])
    assert [version for _, version in reigns] == [1, 2, 3, 2, 1, 4, 1]
    assert [change.version for change in changes] == [1, 2, 3, 2, 1, 4, 1]
