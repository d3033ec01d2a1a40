"""Filters of users: what they may name, and the conditions that they mean."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from features.errors import FilterError

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


def channel_of(filters: Filters) -> str | None:
    """The channel that people are to be reached by, where ``filters`` name one."""
    found = filters.get(REACHABLE)
    return found if isinstance(found, str) else None


def listed(wrong: str, valid: Iterable[str], most: int = 20) -> str:
    """``valid`` as a list to read; of many, those like ``wrong`` first."""
    known = list(valid)
    if len(known) <= most:
        return ", ".join(known) or "nothing"
    close = difflib.get_close_matches(wrong, known, n=5, cutoff=0.5)
    shown = [*close, *(name for name in known if name not in close)][:most]
    return f"{', '.join(shown)} ..."


def unknown_column(name: str, columns: Mapping[str, ColumnInfo]) -> FilterError:
    """The error for a column that filters cannot name."""
    valid = [*(known for known, info in columns.items() if info.filterable), CATEGORY, REACHABLE]
    what = f"{name} holds no numbers or labels" if name in columns else f"the current scores have no {name}"
    return FilterError(f"{what} to filter by; choose from {listed(name, valid)}")


def parse_filters(texts: Iterable[str]) -> dict[str, Condition]:
    """Filters out of texts such as ``attribute_region=Hangzhou``, ``koc_percentile>=90`` and ``churn_probability<=0.3``.

    Several values of one column are alternatives; the two ends of a range both hold.

    Raises:
        FilterError: a text has none of the three signs, or its column is told in two ways.
    """
    values: dict[str, list[Value]] = {}
    ends: dict[str, dict[str, float]] = {}
    for text in texts:
        found = re.fullmatch(r"([^<>=]+)(<=|>=|=)(.+)", text.strip(), re.DOTALL)
        if found is None:
            raise FilterError(f"{text!r} is no filter; write it as attribute_region=Hangzhou, churn_probability<=0.3 or "
                              "koc_percentile>=90")  # fmt: skip
        name, sign, said = (part.strip() for part in found.groups())
        if sign == "=":
            values.setdefault(name, []).append(said)
        else:
            ends.setdefault(name, {})["max" if sign == "<=" else "min"] = _number(text, said)
    if both := set(values) & set(ends):
        raise FilterError(f"{min(both)} is given both values and a range; give one of the two")
    return {**values, **ends}


def _number(text: str, said: str) -> float:
    try:
        return float(said)
    except ValueError:
        raise FilterError(f"{text!r} compares with {said!r}, which is no number") from None
