"""The evidence of a batch: who followed each explained user, and what to hand the user next, with the reason in words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from training.languages import BETWEEN, LANGUAGES, Language

# A running service reads evidence that was written before: what makes it, and loads slowly, is named where it is used.
if TYPE_CHECKING:
    import ibis.expr.types as ir

    from features.snapshot import Snapshot

FRESH: Mapping[Language, tuple[str, ...]] = {
    "en": (
        "bought on {date}",
        "people around who have not: {open_people} of {people}",
        "first-time buyers in {days} days: {buyers_lately}",
    ),
    "zh": ("{date} 买过", "身边 {people} 人中还有 {open_people} 人没买", "近 {days} 天首购 {buyers_lately} 人"),
}
"""Of an item that the user bought within the attribution window of ``{days}`` days."""

BEFORE: Mapping[Language, tuple[str, ...]] = {
    "en": (
        "people moved to it before: {moved}",
        "follow-ups in its category: {moved_in_category}",
        "people around still to be moved: {open_people} of {people}",
    ),
    "zh": ("曾带动 {moved} 人", "同类目累计带动 {moved_in_category} 次", "身边 {people} 人中还有 {open_people} 人未被带动"),
}
"""Of an item to which the user moved others before."""

MARKET: Mapping[Language, tuple[str, ...]] = {
    "en": (
        "of the market's best, as nothing of the user's own tells",
        "purchases in 100 shares of it: {per_100}",
        "first-time buyers in {days} days: {buyers_lately}",
        "people around who have not: {open_people} of {people}",
    ),
    "zh": (
        "本人暂无可参考记录，取全站最值得分享的商品",
        "每 100 次分享带来 {per_100} 次购买",
        "近 {days} 天首购 {buyers_lately} 人",
        "身边 {people} 人中还有 {open_people} 人没买",
    ),
}
"""Of an item that is handed on because nothing is known of the user's own; see `features.evidence.market_items`."""

MAY_BE_SILENT = ("moved_in_category", "per_100", "people")
"""Facts of which nothing is said where they are 0 or not known."""


@dataclass(frozen=True)
class Evidence:
    """What is shown beside the reasons of a batch's explained users.

    follow_ups: user_id, influenced_id, item_id, category  string, happened_at  timestamp in the dataset's zone,
    evidence  string; each user's latest first.
    next_items: user_id  string, place  int64 from 1, item_id, category  string, open_people  int64, because,
    because_zh  string; each user's best first.
    """

    follow_ups: pa.Table
    next_items: pa.Table

    @staticmethod
    def none() -> "Evidence":
        """For a batch in which nobody is explained."""
        return Evidence(_follow_up_schema("UTC").empty_table(), _NEXT_ITEM_SCHEMA.empty_table())

    def of(self, users: pa.Array) -> "Evidence":
        """The rows of ``users`` alone."""
        kept = (table.filter(pc.is_in(table["user_id"], value_set=users)) for table in (self.follow_ups, self.next_items))
        return Evidence(*kept)


def evidence_of(snapshot: "Snapshot", users: pa.Array) -> Evidence:
    """Evidence for ``users`` (ids) from a prepared snapshot; every event lies before its ``as_of``.

    Whoever has nothing of their own to hand on is given the best of the market, so that everybody has an item to push
    wherever anything was bought or answered lately.
    """
    from features.evidence import follow_ups, market_items, next_items

    if not len(users):
        return Evidence.none()
    zone = snapshot.source.dataset.zone
    wanted = snapshot.engine.from_arrow(pa.table({"user_id": users}))
    followed = _in_zone(_sorted(snapshot, follow_ups(snapshot, wanted)), "happened_at", zone)
    options = _in_zone(_sorted(snapshot, next_items(snapshot, wanted)), "taken_at", zone)
    days = snapshot.time.window.days
    options = _as(_with_reasons(options, _own_facts, days), _NEXT_ITEM_SCHEMA)
    without = users.filter(pc.invert(pc.is_in(users, value_set=options["user_id"].combine_chunks())))
    if len(without):
        lacking = snapshot.engine.from_arrow(pa.table({"user_id": without}))
        best = _sorted(snapshot, market_items(snapshot, lacking))
        snapshot.engine.release(lacking)
        best = _as(_with_reasons(best, _market_facts, days), _NEXT_ITEM_SCHEMA)
        options = pa.concat_tables([options, best]).sort_by([("user_id", "ascending"), ("place", "ascending")])
    snapshot.engine.release(wanted)
    return Evidence(_as(followed, _follow_up_schema(zone)), options)


Facts = Callable[[Mapping[str, Any]], tuple[Mapping[Language, tuple[str, ...]], Mapping[str, Any]]]


def _with_reasons(rows: pa.Table, facts_of: Facts, days: int) -> pa.Table:
    """``rows`` with ``because`` and ``because_zh``; facts_of: row -> the texts that may be said of it, and what they name.

    A text is left out where one of ``MAY_BE_SILENT`` that it names is 0 or not known.
    """
    said: dict[Language, list[str]] = {language: [] for language in LANGUAGES}
    for row in rows.to_pylist():
        texts, facts = facts_of(row)
        facts = {**facts, "days": days}
        for language in LANGUAGES:
            told = [text for text in texts[language] if all(facts.get(name) for name in _named_facts(text))]
            said[language].append(BETWEEN[language].join(text.format_map(facts) for text in told))
    for language, name in (("en", "because"), ("zh", "because_zh")):
        rows = rows.append_column(name, pa.array(said[language], pa.string()))
    return rows


def _own_facts(row: Mapping[str, Any]) -> tuple[Mapping[Language, tuple[str, ...]], Mapping[str, Any]]:
    fresh = row["taken_at"] is not None
    return (FRESH if fresh else BEFORE), {**row, "date": f"{row['taken_at']:%Y-%m-%d}" if fresh else ""}


def _market_facts(row: Mapping[str, Any]) -> tuple[Mapping[Language, tuple[str, ...]], Mapping[str, Any]]:
    return MARKET, {**row, "per_100": f"{100 * row['worth']:.1f}" if row["worth"] else None}


def _named_facts(text: str) -> list[str]:
    return [name for _, name, _, _ in Formatter().parse(text) if name in MAY_BE_SILENT]


def _sorted(snapshot: "Snapshot", rows: "ir.Table") -> pa.Table:
    return snapshot.engine.to_arrow(rows).sort_by([("user_id", "ascending"), ("place", "ascending")])


def _in_zone(rows: pa.Table, column: str, zone: str) -> pa.Table:
    """``rows`` with the UTC times of ``column`` as moments that print in local time."""
    moments = rows[column].cast(pa.timestamp("us")).cast(pa.timestamp("us", zone))
    return rows.set_column(rows.column_names.index(column), column, moments)


def _as(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    return rows.select(schema.names).cast(schema)


def _follow_up_schema(zone: str) -> pa.Schema:
    return pa.schema(
        {
            "user_id": pa.string(),
            "influenced_id": pa.string(),
            "item_id": pa.string(),
            "category": pa.string(),
            "happened_at": pa.timestamp("us", zone),
            "evidence": pa.string(),
        }
    )


_NEXT_ITEM_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "place": pa.int64(),
        "item_id": pa.string(),
        "category": pa.string(),
        "open_people": pa.int64(),
        "because": pa.string(),
        "because_zh": pa.string(),
    }
)
