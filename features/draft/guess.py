"""Guesses about one file of a stranger: which of our tables it is, and which of its columns is which of ours."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from features.draft.header_words import PRIVATE, WORDS, named_by, readings, words_of
from features.draft.seen import Seen
from features.schema import TABLES, Kind

SURE = 0.75
_PRIOR = 0.01  # of equally likely tables, orders: what most files are

_PHONE_LIKE = re.compile(r"(\+?86[- ]?)?1[3-9]\d[\d*]{8}")
_COUNT_LIKE = re.compile(r"(n|num|number_of|cnt)_\w+|\w+_(count|cnt)", re.IGNORECASE)
_EMAIL_LIKE = re.compile(r"[^@\s]+@[^@\s]+\.\w+")


# Tables that one file often serves together, so that they do not make each other doubtful.
_FAMILIES = (
    {"users", "memberships", "attributes", "identities"},
    {"group_buys", "group_buy_members"},
    {"shares", "share_responses"},
)


@dataclass(frozen=True)
class Guess:
    """One guess: ``confidence`` in [0, 1], sure from ``SURE`` on, and the reason in words."""

    value: str
    confidence: float
    reason: str

    @property
    def sure(self) -> bool:
        return self.confidence >= SURE


@cache
def private(seen: Seen) -> str | None:
    """What personal data a column holds, by its header or its values; None for anything that may be used."""
    if seen.share(_PHONE_LIKE) >= 0.8:
        return "a phone number"
    if seen.share(_EMAIL_LIKE) >= 0.8:
        return "an e-mail address"
    return (
        None
        if any(confidence > 0.55 for confidence in _as_user(seen.header))
        else named_by(seen.header, PRIVATE, ending=True)
    )


@dataclass(frozen=True)
class TableGuess:
    """What a file is if it is ``table``: our column -> their header as a guess; ``score`` ranks the tables of one file."""

    table: str
    columns: Mapping[str, Guess]
    score: float
    confidence: float = 0.0
    reason: str = ""


@cache
def _tables_using(word: str) -> int:
    """How many tables list the word: one that few list tells more."""
    return sum(any(word == known for text in columns.values() for known, _ in words_of(text)) for columns in WORDS.values())


def _header_fits(header: str, text: str, column: str) -> tuple[float, float, str]:
    """(confidence, telling power in (0, 1], reason) that ``header`` is the column that the words of ``text`` name."""
    whole, *parts = readings(header)
    best = (0.0, 0.0, "")
    for place, (word, doubts) in enumerate(words_of(text)):
        known = (0.95, 0.6, 0.5)[doubts]
        if word == whole:
            fit = (
                known,
                f"header {header} is a known name for {column}" if not doubts else f"header {header} may mean {column}",
            )
        elif word in parts:
            fit = (known - 0.05, f"header {header} contains {word}, a known name for {column}")
        elif (
            not doubts
            and len(word) >= (3 if word[-1] > "\u2e80" else 6)
            and any(one.endswith(word) for one in (whole, *parts))
        ):
            fit = (0.78, f"header {header} ends in {word}, a known name for {column}")
        elif (
            not doubts
            and len(word) >= 5
            and not _tables_using(whole)
            and difflib.SequenceMatcher(None, word, whole).ratio() >= 0.88
        ):
            fit = (0.7, f"header {header} is close to {word}, a known name for {column}")
        else:
            continue
        confidence = fit[0] - 0.0005 * place
        if confidence > best[0]:
            best = (confidence, 1 / _tables_using(word), fit[1])
    return best


@cache
def _as_user(header: str) -> tuple[float, ...]:
    user_columns = ((table, column.name) for table, spec in TABLES.items() for column in spec.of_kind(Kind.USER))
    return tuple(_header_fits(header, WORDS[table][column], column)[0] for table, column in user_columns)


def _values_fit(seen: Seen, kind: Kind) -> str | None:
    """Why the values cannot be of ``kind``; None if they can."""
    if not len(seen.values):
        return "it has no values"
    if kind is Kind.TIME and seen.times is None:
        return "its values do not read as times"
    if kind in (Kind.MONEY, Kind.COUNT, Kind.NUMBER) and not seen.numeric:
        return "its values are not numbers"
    if kind in (Kind.USER, Kind.ID, Kind.TEXT) and (seen.times is not None or seen.symbol):
        return "its values are times or amounts"
    return "its values have decimals" if kind in (Kind.USER, Kind.ID, Kind.COUNT) and seen.decimals else None


def _matches(table: str, seen: Sequence[Seen], users: frozenset[str]) -> list[tuple[Guess, float, str]]:
    """(guess, telling power, our column) for every header that may be a column of ``table``, best first."""
    found = []
    for column in TABLES[table].columns:
        fits = []
        for one in seen:
            confidence, telling, reason = _header_fits(one.header, WORDS[table][column.name], column.name)
            if (
                column.kind is Kind.COUNT
                and column.name == "quantity"
                and not confidence
                and _COUNT_LIKE.fullmatch(one.header)
            ):
                confidence, telling, reason = 0.7, 0.2, f"header {one.header} reads as a count"
            if not confidence or private(one) or _values_fit(one, column.kind):
                continue
            fits.append((Guess(one.header, confidence, reason), telling, one.overlap(users)))
        elsewhere = users and any(overlap >= 0.5 for *_, overlap in fits)
        for guess, telling, overlap in fits:
            strange = column.kind is Kind.USER and elsewhere and overlap < 0.02
            less = replace(guess, confidence=guess.confidence - 0.4, reason=f"{guess.reason}, but none are buyers")
            found.append((less if strange else guess, telling, column.name))
    return sorted(found, key=lambda item: -item[0].confidence)


def guess_columns(table: str, seen: Sequence[Seen], users: frozenset[str] = frozenset()) -> tuple[dict[str, Guess], float]:
    """Our column -> their header for one table, and the score (telling power x confidence, summed).

    Headers decide first; a required column without a header is sought by its values: users among the known ``users``,
    a time if only one column holds times.
    """
    columns: dict[str, Guess] = {}
    score = 0.0
    rivals: dict[str, list[str]] = {}
    for guess, telling, column in _matches(table, seen, users):
        taken = {other.value for other in columns.values()}
        if column in columns and guess.value not in taken and guess.confidence > columns[column].confidence - 0.1:
            rivals.setdefault(column, []).append(guess.value)
        elif column not in columns and guess.value not in taken:
            columns[column] = guess
            score += telling * guess.confidence
    for column, others in rivals.items():
        if left := [other for other in others if other not in {guess.value for guess in columns.values()}]:
            kept = columns[column]
            reason = f"{kept.reason}; preferred to {', '.join(left)}"
            columns[column] = replace(kept, confidence=min(kept.confidence, 0.85), reason=reason)
    for spec in TABLES[table].columns:
        if not spec.required or spec.name in columns:
            continue
        free = [one for one in seen if one.header not in {guess.value for guess in columns.values()} and not private(one)]
        if spec.kind is Kind.USER and (found := _user_by_values(free, users, seen)):
            columns[spec.name] = found
        times = [one for one in free if one.times is not None]
        if spec.kind is Kind.TIME and times:
            reason = "the only column of times" if len(times) == 1 else "the first of several columns of times"
            columns[spec.name] = Guess(times[0].header, 0.6 if len(times) == 1 else 0.4, reason)
    return columns, score


def _user_by_values(free: Sequence[Seen], users: frozenset[str], seen: Sequence[Seen]) -> Guess | None:
    """The first free column whose values are mostly known users, or a phone number where nothing else tells people apart."""
    for one in free:
        if not _values_fit(one, Kind.USER) and (overlap := one.overlap(users)) >= 0.5:
            return Guess(one.header, 0.5, f"{overlap:.0%} of its values are users of the events; the header does not say")
    phone = next((one for one in seen if private(one) == "a phone number"), None)
    if phone and (not users or phone.overlap(users) >= 0.5):
        return Guess(phone.header, 0.4, "only a phone number tells people apart here; better export a customer id or a hash")
    return None


# Beside its required columns, a table needs one of these to be told from others.
_ONE_OF: Mapping[str, frozenset[str]] = {
    "orders": frozenset({"order_id", "item_id", "amount", "quantity"}),
    "share_responses": frozenset({"share_id", "sharer_id"}),
    "memberships": frozenset({"community_id", "inviter_id", "left_at"}),
    "engagements": frozenset({"kind", "item_id", "community_id"}),
}
_ONE_ROW_EACH = ("items", "users", "communities")


def plausible(table: str, columns: Mapping[str, Guess], source: Sequence[Seen]) -> bool:
    """Whether a file with these columns can be ``table``: required columns, what tells it apart, and unique keys."""
    given = set(columns)
    if not given.issuperset(column.name for column in TABLES[table].columns if column.required):
        return False
    if table in _ONE_OF and not given & _ONE_OF[table]:
        return False
    if table in _ONE_ROW_EACH:
        key = columns[TABLES[table].key[0]].value
        return len(given) > 1 and next(one for one in source if one.header == key).unique
    if table == "ties":
        item = guess_columns("items", source)[0].get("item_id")
        return item is None or item.value in {columns["user_id"].value, columns["influencer_id"].value}
    return True


def rank_tables(seen: Sequence[Seen], users: frozenset[str] = frozenset()) -> list[TableGuess]:
    """The tables that one file may be, likeliest first, each with its columns; empty if it is none of ours.

    ``users``: ids of people seen in the event files, to recognise user columns by their values.
    """
    found = []
    for table in TABLES:
        columns, score = guess_columns(table, seen, users)
        if plausible(table, columns, seen):
            found.append(TableGuess(table, columns, score + (_PRIOR if table == "orders" else 0.0)))
    found.sort(key=lambda guess: -guess.score)
    return [_with_confidence(guess, found) for guess in found]


def _with_confidence(guess: TableGuess, ranked: Sequence[TableGuess]) -> TableGuess:
    """Confidence from the margin to the next table and from the weakest required column."""
    kin = next((family for family in _FAMILIES if guess.table in family), {guess.table})
    others = [other for other in ranked if other.table not in kin]
    second = max((other.score for other in others), default=0.0)
    margin = (guess.score - second) / guess.score if guess.score > 0 else 0.0
    required = [guess.columns[column.name] for column in TABLES[guess.table].columns if column.required]
    weakest = min(required, key=lambda one: one.confidence)
    confidence = min(0.95, 0.5 + max(0.0, margin))
    told = sorted(guess.columns.values(), key=lambda one: -one.confidence)[:3]
    reason = f"known by {', '.join(one.value for one in told)}"
    if others and confidence < SURE:
        reason += f"; could also be {others[0].table}"
    if weakest.confidence <= 0.5:
        confidence, reason = min(confidence, 0.6), f"{reason}; {weakest.value}: {weakest.reason}"
    elif confidence >= SURE:
        settled = {
            name: replace(one, confidence=0.8, reason=f"{one.reason}, in a table of {guess.table}")
            if one.confidence > 0.55
            else one
            for name, one in guess.columns.items()
            if one.confidence < SURE
        }
        guess = replace(guess, columns={**guess.columns, **settled})
    return replace(guess, confidence=confidence, reason=reason)
