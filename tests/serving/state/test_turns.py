from types import SimpleNamespace

from serving.state.turns import Turns


def test_one_is_sent_soon_and_everybody_when_it_is_too_old() -> None:
    clock = SimpleNamespace(now=0.0)
    turns = Turns(1.0, 2.0, lambda: clock.now)

    def asked(now: float) -> bool:
        clock.now = now
        return turns.mine()

    # Nobody has looked yet, so that all have to.
    assert [asked(0.0), asked(0.0)] == [True, True]
    turns.looked = 0.0
    assert [asked(0.9), asked(1.0), asked(1.1), asked(1.9)] == [False, True, False, False]
    assert turns.due
    # Whoever was sent has not come back.
    assert [asked(2.0), asked(2.0)] == [True, True]
    turns.looked = 2.0
    assert not turns.due
    assert not asked(2.5)


def test_another_is_sent_when_the_first_does_not_come_back() -> None:
    clock = SimpleNamespace(now=0.0)
    turns = Turns(1.0, 10.0, lambda: clock.now, looked=0.0)
    found = []
    for now in (1.0, 1.5, 2.0, 2.5):
        clock.now = now
        found.append(turns.mine())
    assert found == [True, False, True, False]
