"""A draft of ``dataset.toml`` from a newcomer's files: what each file is, with a reason for every guess."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from features.draft.companions import companions, one_community
from features.draft.guess import SURE, Guess, TableGuess, guess_columns, private, rank_tables
from features.draft.header_words import ACTIONS, ENGAGEMENT_KINDS, named_by
from features.draft.parts import Asker, Draft, LeftOut, Question, TableDraft
from features.draft.seen import SourceFile, look
from features.draft.settings import dataset_settings, time_settings
from features.draft.ties import settle_ties
from features.errors import DatasetError
from features.schema import TABLES, Kind

NOTHING = "nothing"

# Tables that exports repeat on every line of what belongs to them.
_REPEATED = ("group_buys", "shares")
_EVENTS = ("orders", "share_responses", "engagements")


def draft_dataset(
    files: Sequence[Path],
    ask: Callable[[Question], str | None] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Draft:
    """Guess what the files are and which of their columns are which of ours.

    ``ask`` is called with what is unsure and returns one of its choices, or None to leave the guess marked as unchecked;
    without ``ask`` all guesses are taken, and the unsure ones stay marked. ``progress`` is told which file is being read.

    Raises:
        DatasetError: a file cannot be read, or none of them can be orders or share responses.
    """
    if not files:
        raise DatasetError("no files given; name at least one file of orders or share responses")
    asker = Asker(ask)
    sources: list[SourceFile] = []
    for path in files:
        progress(f"reading {path.name}")
        sources += look(path)
    users, anchor = _known_users(sources)
    chosen: dict[str, TableDraft] = {}
    left_out: list[LeftOut] = []
    for source in sources:
        guess = _choose_table(source, frozenset() if source is anchor else users, asker)
        if guess is None:
            left_out.append(LeftOut(source, None, "could not be recognised as any table"))
            continue
        drafted = _table_draft(source, guess, asker)
        rival = chosen.get(guess.table)
        if rival and rival.source.rows >= source.rows:
            left_out.append(LeftOut(source, None, _second(guess.table, rival.source)))
            continue
        if rival:
            left_out.append(LeftOut(rival.source, None, _second(guess.table, source)))
        chosen[guess.table] = drafted
    _stand_in(chosen, asker)
    _refuse_without_events(chosen, sources)
    for drafted in list(chosen.values()):
        for extra in companions(drafted, set(chosen)):
            chosen[extra.table] = extra
    tables = tuple(sorted(chosen.values(), key=lambda one: (sources.index(one.source), list(TABLES).index(one.table))))
    settings = dataset_settings(sources, tables, asker)
    time, export_day = time_settings(tables, settings["zone"].value, asker)
    tables = tuple(_dated(table, export_day) for table in tables)
    left_out += _unused(tables)
    return Draft(tuple(sources), settings, time, tables, tuple(left_out), tuple(_notes(tables, users, anchor)))


def _known_users(sources: Sequence[SourceFile]) -> tuple[frozenset[str], SourceFile | None]:
    """Everybody seen in the surest event file, to recognise the user columns of the others; and that file."""
    best: tuple[int, float, SourceFile, TableGuess] | None = None
    for source in sources:
        for guess in rank_tables(source.seen)[:1]:
            if guess.table in _EVENTS:
                found = (-_EVENTS.index(guess.table), guess.score, source, guess)
                best = found if best is None or found[:2] > best[:2] else best
    if best is None:
        return frozenset(), None
    _, _, anchor, guess = best
    spec = TABLES[guess.table]
    columns = [guess.columns[column.name].value for column in spec.of_kind(Kind.USER) if column.name in guess.columns]
    return frozenset().union(*(anchor[header].distinct for header in columns)), anchor


def _choose_table(source: SourceFile, users: frozenset[str], asker: Asker) -> TableGuess | None:
    ranked = rank_tables(source.seen, users)
    if not ranked:
        return None
    first = Guess(ranked[0].table, ranked[0].confidence, ranked[0].reason)
    choices = (*(guess.table for guess in ranked), NOTHING)
    answer = asker.settle(f"{source.label}", f"What is {source.label}?", choices, first)
    if answer.value == NOTHING:
        return None
    picked = next(guess for guess in ranked if guess.table == answer.value)
    return replace(picked, confidence=answer.confidence, reason=answer.reason)


def _table_draft(source: SourceFile, guess: TableGuess, asker: Asker) -> TableDraft:
    told = Guess(guess.table, guess.confidence, guess.reason)
    drafted = TableDraft(guess.table, source, told, dict(guess.columns))
    if guess.table == "ties":
        return settle_ties(drafted, asker)
    columns = _settle_columns(source, guess.table, guess.columns, asker)
    return replace(
        drafted,
        columns=columns,
        constants=_constants(guess.table, source, columns),
        money=_money(drafted, asker),
        distinct=guess.table in _REPEATED and not source[columns[TABLES[guess.table].key[0]].value].unique,
    )


def _settle_columns(source: SourceFile, table: str, guesses: Mapping[str, Guess], asker: Asker) -> dict[str, Guess]:
    """Ask about the unsure columns; an optional one may be answered away."""
    settled: dict[str, Guess] = {}
    for name, guess in guesses.items():
        column = TABLES[table][name]
        others = [one.header for one in source.seen if one.header != guess.value]
        choices = (guess.value, *others, *(() if column.required else (NOTHING,)))
        answer = asker.settle(
            f"{source.label}: {name}", f"Which column of {source.label} is {table}.{name}?", choices, guess
        )
        if answer.value != NOTHING:
            settled[name] = answer
    return settled


def _constants(table: str, source: SourceFile, columns: Mapping[str, Guess]) -> dict[str, Guess]:
    """What every row of the file has in common, told by the name of its time column."""
    if table == "share_responses" and "action" not in columns:
        names, column, default = ACTIONS, "action", "click"
    elif table == "engagements" and "kind" not in columns:
        names, column, default = ENGAGEMENT_KINDS, "kind", source.path.stem
    elif table == "memberships" and "community_id" not in columns:
        return {"community_id": one_community(source)}
    else:
        return {}
    headers = [guess.value for guess in columns.values()]
    found = next(((header, key) for header in headers if (key := named_by(header, names))), None)
    if found:
        return {column: Guess(found[1], 0.9, f"header {found[0]} tells it")}
    return {column: Guess(default, 0.6, "no column tells it")}


def _money(drafted: TableDraft, asker: Asker) -> Guess | None:
    """Whole units or hundredths: a sign, decimals or the header tells."""
    names = [column.name for column in TABLES[drafted.table].of_kind(Kind.MONEY) if column.name in drafted.columns]
    headers = [drafted.columns[name].value for name in names]
    if not headers:
        return None
    for header in headers:
        seen = drafted.source[header]
        if seen.symbol or seen.decimals:
            return Guess("major", 0.95, f"{header} has {'a currency sign' if seen.symbol else 'decimals'}")
        if re.search(r"(分\)?$|_fen\b|cents?$|minor)", header.lower()):
            return Guess("minor", 0.9, f"header {header} names hundredths")
        if re.search(r"(元|yuan|rmb|usd|dollars?)\W*$", header.lower()):
            return Guess("major", 0.9, f"header {header} names whole units")
    guess = Guess("major", 0.5, f"{headers[0]} has whole numbers only")
    text = f"Are the amounts of {drafted.source.label} in whole units (major, 元) or hundredths (minor, 分)?"
    return asker.settle(f"{drafted.source.label}: money", text, ("major", "minor"), guess)


def _second(table: str, taken: SourceFile) -> str:
    return f"is {table} too, and {taken.label} is taken for it; put both in one file or one Parquet folder"


def _stand_in(chosen: dict[str, TableDraft], asker: Asker) -> None:
    """Where no file has orders or share responses, visits or reviews of items are read as orders without an amount."""
    seen = chosen.get("engagements")
    if seen is None or "item_id" not in seen.columns or {"orders", "share_responses"} & set(chosen):
        return
    what = seen.constants["kind"].value if "kind" in seen.constants else "engagement"
    reason = f"no file has orders; rows of {what} with an item can be read as orders without an amount"
    text = f"{reason[0].upper()}{reason[1:]}: what is {seen.source.label}?"
    answer = asker.settle(seen.source.label, text, ("orders", "engagements"), Guess("orders", 0.7, reason))
    if answer.value == "engagements":
        return
    columns, _ = guess_columns("orders", seen.source.seen)
    happened = seen.columns["happened_at"]
    columns |= {name: seen.columns[name] for name in ("user_id", "item_id")}
    columns["ordered_at"] = replace(happened, reason=f"header {happened.value} tells when the {what} happened")
    columns = {name: guess for name, guess in columns.items() if guess.confidence >= SURE}
    del chosen["engagements"]
    drafted = TableDraft("orders", seen.source, answer, columns)
    chosen["orders"] = replace(drafted, money=_money(drafted, asker), stands_for=what)


def _refuse_without_events(chosen: Mapping[str, TableDraft], sources: Sequence[SourceFile]) -> None:
    if {"orders", "share_responses"} & set(chosen):
        return
    taken = {drafted.source: name for name, drafted in chosen.items()}
    seen = "; ".join(
        f"{source.label} ({taken.get(source, 'not recognised')}): {', '.join(one.header for one in source.seen)}"
        for source in sources
    )
    raise DatasetError(
        f"no file was recognised as orders or share_responses. Seen: {seen}. Needed: orders (who, when, and an item, an "
        "amount or an order number) or share_responses (sharer, responder, when). Rename a header to one of ours "
        "(user_id, item_id, ordered_at, sharer_id, responder_id, responded_at) and run `koc init` again"
    )


def _dated(table: TableDraft, day: str) -> TableDraft:
    """Flat attributes count as known from the day of the last event in the files."""
    if table.table != "attributes" or "valid_from" in table.columns:
        return table
    told = Guess(day, 0.8, "the last day in the files: the export's date; nothing is known about earlier values")
    return replace(table, constants={**table.constants, "valid_from": told})


def _unused(tables: Sequence[TableDraft]) -> list[LeftOut]:
    """Columns of the used files that no table reads, and why."""
    found = []
    for source in dict.fromkeys(table.source for table in tables):
        used = {header for table in tables if table.source is source for header in table.headers}
        for seen in source.seen:
            if seen.header not in used:
                personal = private(seen)
                why = f"personal data ({personal})" if personal else "no table needs it"
                found.append(LeftOut(source, seen.header, why))
    return found


def _notes(tables: Sequence[TableDraft], users: frozenset[str], anchor: SourceFile | None) -> list[str]:
    """What the newcomer should know about the draft as a whole."""
    by_name = {table.table: table for table in tables}
    notes = [note for table in tables for note in (*_strangers(table, users, anchor), *_never_revealed(table))]
    if "ties" in by_name and "since" not in by_name["ties"].columns:
        notes.append("ties carry no dates: features of the past may know ties that were made later")
    orders = by_name.get("orders")
    if orders and "amount" not in orders.columns and (price := guess_columns("items", orders.source.seen)[0].get("price")):
        notes.append(
            f"orders have no amount; add a column of {price.value} x quantity to {orders.source.label} to count money"
        )
    if "attributes" in by_name:
        notes.append("attributes come from a flat export: earlier test dates do not see them")
    evidence = {"ties", "share_responses", "group_buy_members"} & set(by_name) or any(
        "inviter_id" in t.columns or "referrer_id" in t.columns for t in tables
    )
    if not evidence:
        notes.append(
            "nothing tells who moved whom (ties, share_responses, group buys, inviter or referrer): churn can be trained, "
            "KOC scores cannot"
        )
    phones = [t.source.label for t in tables if any(private(one) == "a phone number" for one in t.source.seen)]
    if phones:
        notes.append(
            f"phone numbers ({', '.join(dict.fromkeys(phones))}) are left out; to merge the accounts of one person, add a "
            "column of salted hashes and map it in [tables.identities] with kind = 'phone_hash'"
        )
    cut_short = [source for source in dict.fromkeys(table.source for table in tables) if source.cut_short]
    notes += [f"only the first {source.rows:,} rows of {source.label} were read" for source in cut_short]
    return notes


def _strangers(table: TableDraft, users: frozenset[str], anchor: SourceFile | None) -> Iterator[str]:
    """Warns where the people of one file have other ids than those of the event file."""
    if anchor is None or table.source is anchor or table.table not in ("users", "ties", "memberships", "orders"):
        return
    ids = next(table.columns[c.name] for c in TABLES[table.table].of_kind(Kind.USER) if c.name in table.columns)
    share = table.source[ids.value].overlap(users)
    if share < 0.1:
        yield (
            f"only {share:.0%} of {ids.value} in {table.source.label} occur in {anchor.label}, so people seem to have "
            "other ids there; export a common id, or map [tables.identities]"
        )


def _never_revealed(table: TableDraft) -> Iterator[str]:
    for column in TABLES[table.table].columns:
        if column.name in table.columns and column.revealed_by and not set(column.revealed_by) & set(table.columns):
            yield (
                f"{table.table}.{column.name} has no time that reveals it ({' or '.join(column.revealed_by)}), so no "
                "feature may see it; export that time too"
            )
