"""The text of ``dataset.toml`` that a draft becomes: commented, and readable by ``features.dataset.read_dataset``."""

import json
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from features.draft.guess import Guess
from features.draft.parts import Draft, TableDraft
from features.draft.seen import SourceFile

_WIDTH = 44


def dataset_text(draft: Draft, out: Path) -> str:
    """TOML for ``out``, whose folder the sources are named from; unsure guesses carry a ``# check:`` comment."""
    return "\n".join(_lines(draft, out)) + "\n"


def _lines(draft: Draft, out: Path) -> Iterator[str]:
    folders = {source.path.parent.resolve() for source in draft.sources}
    root = Path(os.path.commonpath(folders))
    yield f"# Drafted by `koc init` from {', '.join(dict.fromkeys(s.path.name for s in draft.sources))}."
    yield "# Lines with `check:` are guesses that nobody has confirmed. Read them, correct them, then run"
    yield f"#     koc validate --dataset {out.name}"
    for note in draft.notes:
        yield f"# Note: {note}."
    yield ""
    yield _line("name", _text(root.name or out.stem))
    yield _line("root", _text(_relative(root, out.parent)))
    for name, guess in draft.settings.items():
        yield _line(name, _text(guess.value), guess)
    yield from ("", "[time]")
    for name, guess in draft.time.items():
        yield _line(name, f"[{_times(guess.value)}]" if name == "test_dates" else _text(guess.value), guess)
    before = None
    for table in draft.tables:
        yield from _table_lines(draft, table, root, before)
        before = table.source
    unread = [left for left in draft.left_out if left.header is None]
    if unread:
        yield ""
    for left in unread:
        headers = ", ".join(one.header for one in left.source.seen)
        yield f"# Not used: {left.source.label} {left.why}. Its columns: {headers}"


def _table_lines(draft: Draft, table: TableDraft, root: Path, before: SourceFile | None) -> Iterator[str]:
    source = table.source
    yield ""
    if table.source is not before:
        yield f"# ---- {source.label}: {source.rows:,} rows read"
        for left in draft.left_out:
            if left.source is source and left.header is not None:
                yield f"# not used: {left.header} ({left.why})"
    yield _line(f"[tables.{table.table}]", None, table.told)
    yield _line("source", _text(_relative(source.path.resolve(), root)))
    if source.sheet:
        yield _line("sheet", _text(source.sheet))
    if source.encoding:
        yield _line("encoding", _text(source.encoding))
    if table.money:
        yield _line("money", _text(table.money.value), table.money)
    if table.undirected:
        yield _line("undirected", table.undirected.value, table.undirected)
    if table.distinct:
        yield _line("distinct", "true", comment="the file repeats these rows")
    for part, guesses in (("columns", table.columns), ("constants", table.constants), ("unpivot", table.unpivot)):
        if guesses:
            yield f"[tables.{table.table}.{part}]"
            for name, guess in guesses.items():
                yield _line(name, _text(guess.value), guess)


def _line(key: str, value: str | None, guess: Guess | None = None, comment: str = "") -> str:
    line = key if value is None else f"{key} = {value}"
    if guess:
        comment = guess.reason if guess.sure else f"check: {guess.reason} ({guess.confidence:.0%} sure)"
    return f"{line}{' ' * max(0, _WIDTH - _cells(line))}  # {comment}" if comment else line


def _cells(text: str) -> int:
    """Width in a terminal, where Chinese characters take two cells."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _times(value: str) -> str:
    return ", ".join(_text(moment) for moment in value.split(", "))


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder.resolve())).as_posix()
