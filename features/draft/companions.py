"""The further tables that one file serves: items on order lines, memberships and attributes in a roster, ..."""

from collections.abc import Collection, Iterator
from dataclasses import replace

import pandas as pd

from features.draft.guess import Guess, guess_columns, plausible
from features.draft.header_words import ATTRIBUTES, IDENTITIES, named_by
from features.draft.parts import TableDraft
from features.draft.seen import SourceFile
from features.schema import TABLES, Kind

_WITH_ITEMS = ("orders", "share_responses", "engagements")
_ROSTERS = ("users", "memberships")
_PAIRS = {
    "group_buy_members": "group_buys",
    "group_buys": "group_buy_members",
    "share_responses": "shares",
    "shares": "share_responses",
}


def companions(drafted: TableDraft, taken: Collection[str]) -> Iterator[TableDraft]:
    """Tables beside ``drafted`` that its file serves too and that no file serves yet (``taken``)."""
    if drafted.table in _WITH_ITEMS and "items" not in taken and "item_id" in drafted.columns:
        yield from _items(drafted)
    if drafted.table in _ROSTERS and _one_row_each(drafted.source, drafted.columns["user_id"].value):
        yield from (table for table in _roster(drafted) if table.table not in taken)
    other = _PAIRS.get(drafted.table)
    if other and other not in taken:
        yield from _pair(drafted, other)


def _one_row_each(source: SourceFile, header: str) -> bool:
    return source[header].unique


def _items(drafted: TableDraft) -> Iterator[TableDraft]:
    """Facts of the item that every order line repeats: columns with one value per item."""
    item = drafted.columns["item_id"]
    free = [one for one in drafted.source.seen if one.header == item.value or one.header not in drafted.headers]
    columns, _ = guess_columns("items", free)
    ids = drafted.source[item.value].values
    kept = {}
    for name, guess in columns.items():
        share = _share_of_one_value(ids, drafted.source[guess.value].values)
        if name != "item_id" and guess.sure and share >= 0.95:
            same = "the same on every row of an item" if share == 1 else f"one value for {share:.1%} of the items"
            kept[name] = replace(guess, reason=f"{guess.reason}; {same}")
    if kept:
        told = Guess("items", 0.9, f"{', '.join(g.value for g in kept.values())} beside {item.value} on every row")
        money = drafted.money if any(TABLES["items"][name].kind is Kind.MONEY for name in kept) else None
        yield TableDraft("items", drafted.source, told, {"item_id": item, **kept}, money=money, distinct=True)


def _share_of_one_value(ids: pd.Series, values: pd.Series) -> float:
    """Share of ids that go with one value only."""
    per_id = values.groupby(ids.reindex(values.index)).nunique()
    return float((per_id <= 1).mean()) if len(per_id) else 0.0


def _roster(drafted: TableDraft) -> Iterator[TableDraft]:
    """Users, memberships, attributes and identities out of a file with one row for each person."""
    source, user = drafted.source, drafted.columns["user_id"]
    base = TableDraft("users", source, Guess("users", 0.9, f"{user.value} comes once"), {"user_id": user})
    used = set(drafted.headers)
    if drafted.table == "memberships":
        columns, _ = guess_columns("users", [one for one in source.seen if one.header not in used])
        facts = {name: guess for name, guess in columns.items() if name not in ("user_id", "recorded_at") and guess.sure}
        if "registered_at" not in facts:
            joined = drafted.columns["joined_at"]
            facts["registered_at"] = Guess(joined.value, 0.8, "the first that is known of a person")
        yield replace(base, columns={**base.columns, **facts})
        used |= {guess.value for guess in facts.values()}
    else:
        columns, _ = guess_columns("memberships", source.seen)
        columns["user_id"] = user
        if plausible("memberships", columns, source.seen) and columns["joined_at"].confidence >= 0.5:
            told = (
                Guess("memberships", 0.85, f"{columns['inviter_id'].value} tells who invited whom")
                if ("inviter_id" in columns)
                else Guess("memberships", 0.8, "tells who belongs where")
            )
            constants = {} if "community_id" in columns else {"community_id": one_community(source)}
            yield replace(base, table="memberships", told=told, columns=columns, constants=constants)
            used |= {guess.value for guess in columns.values()}
    free = [one for one in source.seen if one.header not in used and len(one.values)]
    flat: dict[str, Guess] = {}
    for one in free:
        name = named_by(one.header, ATTRIBUTES)
        if name and name not in flat:
            flat[name] = Guess(one.header, 0.85, f"header {one.header} is a fact that can change")
    if flat:
        told = Guess("attributes", 0.85, "facts that can change are dated; a flat export tells only today's")
        yield replace(base, table="attributes", told=told, unpivot=flat)
    for one in free:
        kind = named_by(one.header, IDENTITIES)
        if kind and one.header not in {guess.value for guess in flat.values()}:
            value = Guess(one.header, 0.85, f"header {one.header} is an id of the same person elsewhere")
            constants = {"kind": Guess(kind, 0.9, f"header {one.header}")}
            told = Guess("identities", 0.85, "accounts with an equal value merge into one person")
            yield replace(
                base, table="identities", told=told, columns={"user_id": user, "value": value}, constants=constants
            )
            return


def one_community(source: SourceFile) -> Guess:
    """A community that is all of a file."""
    return Guess(source.path.stem, 0.9, "the file is one community, named after it")


def _pair(drafted: TableDraft, other: str) -> Iterator[TableDraft]:
    """The other half of a file that has, say, group buys and their members on one line."""
    columns, _ = guess_columns(other, drafted.source.seen)
    required = [columns.get(column.name) for column in TABLES[other].columns if column.required]
    if not all(guess and guess.confidence >= 0.55 for guess in required):
        return
    spec = TABLES[other]
    clash = (
        spec.event_time and columns[spec.event_time].value == drafted.columns[TABLES[drafted.table].event_time or ""].value
    )
    if clash or not plausible(other, columns, drafted.source.seen):
        return
    key = columns[spec.key[0]].value if spec.key else None
    distinct = key is not None and not _one_row_each(drafted.source, key)
    told = Guess(other, 0.8, f"{drafted.source.label} tells both {drafted.table} and {other}")
    yield TableDraft(other, drafted.source, told, columns, distinct=distinct)
