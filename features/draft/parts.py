"""The parts of a draft: tables with a guess for every setting, what was left out, and the questions in between."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from features.draft.guess import Guess
from features.draft.seen import SourceFile
from features.schema import TABLES


@dataclass(frozen=True)
class Question:
    """Something that a draft is unsure of. ``about`` names the place, ``default`` is the guess, one of ``choices``.

    ``open``: other answers than the choices make sense too (zones, currencies).
    """

    about: str
    text: str
    choices: tuple[str, ...]
    default: str
    reason: str
    open: bool = False


class Asker:
    """Settles guesses: sure ones stay as they are, unsure ones go to a person if there is one."""

    def __init__(self, ask: Callable[[Question], str | None] | None) -> None:
        self._ask = ask

    def settle(self, about: str, text: str, choices: Sequence[str], guess: Guess, *, open_: bool = False) -> Guess:
        """The guess, or the person's answer with confidence 1.

        An answer of None, or one that is no choice of a closed question, leaves the guess as it is, still unsure.
        """
        if guess.sure or self._ask is None:
            return guess
        answer = self._ask(Question(about, text, tuple(choices), guess.value, guess.reason, open_))
        if answer is None or (not open_ and answer not in choices):
            return guess
        return Guess(answer, 1.0, "confirmed" if answer == guess.value else "answered")


@dataclass(frozen=True)
class TableDraft:
    """One table of the draft.

    ``told``: why the file is this table. ``columns``, ``constants`` and ``unpivot`` as in ``TableSource``, each value a
    guess. ``stands_for``: what is read as orders, for want of orders.
    """

    table: str
    source: SourceFile
    told: Guess
    columns: Mapping[str, Guess]
    constants: Mapping[str, Guess] = field(default_factory=dict)
    unpivot: Mapping[str, Guess] = field(default_factory=dict)
    undirected: Guess | None = None
    money: Guess | None = None
    distinct: bool = False
    stands_for: str | None = None

    def __post_init__(self) -> None:
        order = list(TABLES[self.table].by_name)
        object.__setattr__(self, "columns", dict(sorted(self.columns.items(), key=lambda item: order.index(item[0]))))

    @property
    def headers(self) -> frozenset[str]:
        """The source columns that the table reads."""
        return frozenset(guess.value for guess in (*self.columns.values(), *self.unpivot.values()))


@dataclass(frozen=True)
class LeftOut:
    """A file (``header`` None) or a column that the draft does not use, and why."""

    source: SourceFile
    header: str | None
    why: str


@dataclass(frozen=True)
class Draft:
    """What `koc init` found. ``settings``: zone and currency; ``time``: settings of [time], durations as text."""

    sources: tuple[SourceFile, ...]
    settings: Mapping[str, Guess]
    time: Mapping[str, Guess]
    tables: tuple[TableDraft, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    def guesses(self) -> Iterator[tuple[str, str, Guess]]:
        """(file or "settings", our name, guess) of every guess, tables first."""
        for table in self.tables:
            place = table.source.label
            yield place, table.table, table.told
            for name, guess in {**table.columns, **table.constants}.items():
                yield place, f"{table.table}.{name}", guess
            for name, guess in table.unpivot.items():
                yield place, f"{table.table}: {name}", guess
            for name, flag in (("undirected", table.undirected), ("money", table.money)):
                if flag:
                    yield place, f"{table.table} {name}", flag
        for name, guess in {**self.settings, **self.time}.items():
            yield "settings", name, guess
