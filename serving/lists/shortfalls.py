"""What a list could not meet, and why: people who match, but are taken or left out."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

SAID: Mapping[str, str] = {
    "unrated": "have no score for this objective",
    "erased": "are erased",
    "suppressed": "are suppressed",
    "consent_withdrawn": "withdrew their consent",
    "excluded": "are excluded",
    "cool_down": "were contacted within the cool-down",
    "contact_cap": "had as many contacts this month as one may have",
    "reserved": "are reserved for another list",
    "quota": "found a quota full or are outside of the quotas",
    "diversity": "would be too many of one group or clique",
    "size": "came after the last place",
    "filters": "do not match the filters",
}


@dataclass(frozen=True)
class Shortfall:
    """``asked`` people of ``value`` of ``column`` (both None: the size of the list), of whom ``found`` are listed.

    ``known``: people with that value in the batch that the key sees. ``left_out``: cause -> how many of them. ``reason``:
    the same in words.
    """

    column: str | None
    value: str | None
    asked: int
    found: int
    known: int
    left_out: Mapping[str, int]
    reason: str

    @property
    def missing(self) -> int:
        return self.asked - self.found

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def shortfall(
    column: str | None, value: str | None, asked: int, found: int, known: int, left_out: Mapping[str, int]
) -> Shortfall:
    """A shortfall with its reason in words."""
    who = f"{column} {value}: " if column else ""
    parts = [f"{n:,} {SAID.get(cause, f'fail {cause}')}" for cause, n in sorted(left_out.items(), key=_most_first)]
    reason = f"{who}{found:,} of {asked:,}; of {known:,} people {_joined(parts)}"
    return Shortfall(column, value, asked, found, known, dict(left_out), reason)


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts) if parts else "nobody was left out"
