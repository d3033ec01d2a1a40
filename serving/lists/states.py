"""Where a person on a list stands, and which steps lead on."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """From the list to the group, or out of it."""

    SELECTED = "selected"
    SURVEYED = "surveyed"
    ADDED = "added"
    IN_GROUP = "in_group"
    ACTIVE = "active"
    UNSUITABLE = "unsuitable"
    HELD_OUT = "held_out"
    """In the holdout arm: not to be contacted, so there is nothing to work."""


_LINE = (State.SELECTED, State.SURVEYED, State.ADDED, State.IN_GROUP, State.ACTIVE)

NEXT: Mapping[State, tuple[State, ...]] = {
    State.SELECTED: (*_LINE[1:], State.UNSUITABLE),
    State.SURVEYED: (*_LINE[2:], State.UNSUITABLE),
    State.ADDED: (*_LINE[3:], State.UNSUITABLE),
    State.IN_GROUP: (State.ACTIVE, State.ADDED, State.UNSUITABLE),
    State.ACTIVE: (State.IN_GROUP, State.UNSUITABLE),
    State.UNSUITABLE: (State.SELECTED,),
    State.HELD_OUT: (),
}
"""Forward by one or several steps, since not everybody is surveyed; back when somebody leaves the group or falls silent;
out from anywhere, with a reason; and in again from the start, with a reason."""

IN_CHINESE: Mapping[State, str] = {
    State.SELECTED: "已入选",
    State.SURVEYED: "已调研",
    State.ADDED: "已添加",
    State.IN_GROUP: "已入群",
    State.ACTIVE: "活跃",
    State.UNSUITABLE: "不合适",
    State.HELD_OUT: "对照组",
}
DONE = (State.ACTIVE, State.UNSUITABLE, State.HELD_OUT)
"""States that ask nothing of staff."""


def state_of(text: str) -> State | None:
    """The state that ``text`` names, in English or Chinese; None if it names none."""
    wanted = text.strip()
    by_name = {**{state.value: state for state in State}, **{said: state for state, said in IN_CHINESE.items()}}
    return by_name.get(wanted) or by_name.get(wanted.lower().replace(" ", "_"))


def refusal(old: State, new: State, reason: str | None) -> str | None:
    """Why nobody can go from ``old`` to ``new``, with what can be done; None where it is allowed. Staying is."""
    if new is old:
        return None
    if old is State.HELD_OUT:
        return "is held out and not to be contacted; leave the person out"
    if new not in NEXT[old]:
        return f"is {old.value} and cannot become {new.value}; allowed are {', '.join(NEXT[old])}"
    if State.UNSUITABLE in (old, new) and not (reason or "").strip():
        return f"can become {new.value} only with a reason; fill in state_reason"
    return None
