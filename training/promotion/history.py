"""Who was champion when, by whom and why: the changes that stand in the tags of registered versions."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from features.errors import ConflictError

TAG = "champion."
"""How the names of these tags begin; the rest is the moment, in UTC."""

FORM = "%Y-%m-%dT%H:%M:%S.%fZ"
Action = Literal["first", "promote", "rollback"]


@dataclass(frozen=True)
class Change:
    """``version`` became champion ``at`` (UTC), by ``by`` for the reason ``why``.

    ``action``: the ``first`` one of all, that nobody had to choose, a ``promote``, or a ``rollback`` to the one before.
    ``overridden``: checks that failed and were overridden, in words.
    """

    at: datetime
    version: int
    action: Action
    by: str
    why: str
    overridden: tuple[str, ...] = ()

    @classmethod
    def first(cls, version: int) -> "Change":
        return cls(datetime.now(UTC), version, "first", "registration", "there was no champion")

    def as_tag(self) -> tuple[str, str]:
        """Name and value."""
        told = {"action": self.action, "by": self.by, "why": self.why, "overridden": list(self.overridden)}
        return f"{TAG}{self.at.astimezone(UTC).strftime(FORM)}", json.dumps(told, ensure_ascii=False)


def changes_of(version: int, tags: Mapping[str, str]) -> Iterator[Change]:
    """The changes in the tags of a version."""
    for name, value in tags.items():
        if name.startswith(TAG):
            told: dict[str, Any] = json.loads(value)
            at = datetime.strptime(name.removeprefix(TAG), FORM).replace(tzinfo=UTC)
            yield Change(at, version, told["action"], told["by"], told["why"], tuple(told["overridden"]))


def champion_at(changes: Sequence[Change], moment: datetime) -> Change | None:
    """The change that made the champion of a moment; None before the first. changes: the first one first."""
    return next((change for change in reversed(changes) if change.at <= moment), None)


def previous(changes: Sequence[Change]) -> int:
    """The version that a rollback leads to: the champion before the present one, of those that were not rolled back.

    Raises:
        ConflictError: there is none.
    """
    line: list[int] = []
    for change in changes:
        if change.action == "rollback" and len(line) > 1:
            line.pop()
        else:
            line.append(change.version)
    if len(line) < 2:
        raise ConflictError("there was no champion before the present one; promote another version with `koc promote`")
    return line[-2]


def next_moment(changes: Sequence[Change], now: datetime) -> datetime:
    """``now``, or just after the last change where a clock is behind it."""
    return max(now, changes[-1].at + timedelta(microseconds=1)) if changes else now
