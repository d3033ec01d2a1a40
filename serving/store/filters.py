"""Filters of users: what they may name, and the conditions that they mean."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from features.errors import ScoresError

Value = str | float | bool | None
Condition = Value | Sequence[Value] | Mapping[str, float]
Filters = Mapping[str, Condition]
"""Column -> a value, some values, or ``{"min": 0.1, "max": 0.3}``, both ends inside, one of them enough.

``category``: weigh the score by the share of influence expected in it. ``reachable``: a channel that the user consents to.
"""

CATEGORY, REACHABLE = "category", "reachable"
ATTRIBUTE, CONSENT = "attribute_", "attribute_consent_"
CONSENTED = frozenset({"yes", "true", "1", "granted", "同意", "是"})


@dataclass(frozen=True)
class ColumnInfo:
    """What a column holds and what may be asked of it.

    kind        number, label (few values), text or id; the first two can be filtered by
    values      of a label: its values, sorted; of a number: none
    lowest      of a number: None where nothing is known
    highest     of a number: None where nothing is known
    """

    name: str
    kind: str
    values: tuple[str, ...] = ()
    lowest: float | None = None
    highest: float | None = None

    @property
    def filterable(self) -> bool:
        """Whether filters may name it."""
        return self.kind in ("number", "label")


def listed(wrong: str, valid: Iterable[str], most: int = 20) -> str:
    """``valid`` as a list to read; of many, those like ``wrong`` first."""
    known = list(valid)
    if len(known) <= most:
        return ", ".join(known) or "nothing"
    close = difflib.get_close_matches(wrong, known, n=5, cutoff=0.5)
    shown = [*close, *(name for name in known if name not in close)][:most]
    return f"{', '.join(shown)} ..."


def unknown_column(name: str, columns: Mapping[str, ColumnInfo]) -> ScoresError:
    """The error for a column that filters cannot name."""
    valid = [*(known for known, info in columns.items() if info.filterable), CATEGORY, REACHABLE]
    what = f"{name} holds no numbers or labels" if name in columns else f"the current scores have no {name}"
    return ScoresError(f"{what} to filter by; choose from {listed(name, valid)}")
