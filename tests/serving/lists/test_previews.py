from types import SimpleNamespace

import pytest

from serving.lists import previews
from serving.lists.previews import Previews
from tests.serving.lists.conftest import Room


def test_one_of_those_who_come_when_it_is_time_looks_again(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(previews, "time", SimpleNamespace(monotonic=lambda: clock.now))
    people, batch = Previews(room.database), room.served.batch

    def told(now: float) -> bool:
        clock.now = now
        return people.stopped_lately(batch, {}) is not None

    assert not told(100.0)
    people._stopped(batch, None)
    assert [told(100.9), told(101.2), told(101.3), told(101.9)] == [True, False, True, True]
    # Whoever was sent has found out nothing, so that what is known is too old for anybody.
    assert [told(102.1), told(102.1)] == [False, False]
    people._stopped(batch, None)
    assert told(102.2)
