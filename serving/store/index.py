"""What makes filters quick: for every column, sorted places, codes, and bitmaps of common values."""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serving.store.filters import ATTRIBUTE
from training.roomy import Appended, laid_out

Bits = NDArray[np.uint64]
Values = dict[str, NDArray[Any] | Sequence[str]]

BINS = 32
"""Bitmaps of a number: of the users at or above each of so many values, equal parts of the users apart."""

COMMON = 64
"""A label has a bitmap where at least one in so many users has it; other labels are short lists of rows."""

ROWS_AT_ONCE = 10_000_000
"""Rows of categories that are indexed together."""

MOST_LABELS = 65_534
"""Values of a column that filters can name; more are taken for ids or texts."""

MOST_WORDS = 1_024
"""The same of columns that are no attributes: reasons and dates are no labels."""

TEXTS = frozenset({"reason", "reason_zh"})


def kind_of(name: str, column: pa.ChunkedArray) -> str:
    """``number``, ``label``, ``text`` or ``id``; see `serving.store.filters.ColumnInfo`."""
    if name == "user_id":
        return "id"
    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        return "number"
    if pa.types.is_boolean(column.type):
        return "label"
    if name in TEXTS or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return "text"
    distinct = pc.count_distinct(column).as_py()
    return "label" if distinct <= (MOST_LABELS if name.startswith(ATTRIBUTE) else MOST_WORDS) else "text"


def index_users(users: pa.Table) -> Values:
    """The arrays of all columns, named ``what:column``, and those of the ids."""
    arrays: Values = {}
    for name in users.column_names:
        kind = kind_of(name, users[name])
        arrays[f"kind:{name}"] = [kind]
        if kind in ("number", "label"):
            found = (_number if kind == "number" else _label)(users[name])
            arrays |= {f"{what}:{name}": _laid_out(values) for what, values in found.items()}
    hashes = hash_ids(users["user_id"].to_pylist())
    places = np.argsort(hashes, kind="stable")
    return arrays | {"id:hashes": hashes[places], "id:rows": places.astype(np.int32)}


def index_categories(users: pa.Table, influence: Iterable[pa.RecordBatch]) -> Values:
    """Influence by category, as rows of the batch instead of ids; influence: sorted by category, as it comes.

    category:names   sorted
    category:totals  (C,) float64  influence of everybody in it
    category:starts  (C + 1,)      where the rows of each start
    category:rows    int32         users of the batch of whom something is known in it, rising
    category:moved   float64       their influence
    category:bought  float32       subjects that they bought; 0 in tables without the column
    category:around  float32       (follower, subject) bought by people around; 0 in tables without the column
    """
    ids = users["user_id"].combine_chunks()
    names: list[str] = []
    totals: list[NDArray[Any]] = [np.empty(0)]
    counts: list[NDArray[Any]] = [np.zeros(1, np.int64)]
    told = {
        "rows": Appended(dtype=np.int32),
        "moved": Appended(dtype=np.float64),
        "bought": Appended(),
        "around": Appended(),
    }
    for some in _whole_categories(influence):
        place = pc.index_in(some["user_id"].combine_chunks(), value_set=ids)
        rows = pc.fill_null(place, -1).to_numpy()
        found, code = _coded(some["category"])
        moved = some["influence"].to_numpy().astype(np.float64)
        order = np.lexsort((rows, code))
        order = order[rows[order] >= 0]
        names += found
        totals.append(np.bincount(code, moved, len(found)))
        counts.append(np.bincount(code[order], minlength=len(found)))
        told["rows"].append(rows[order])
        told["moved"].append(moved[order])
        for name in ("bought", "around"):
            values = some[name].to_numpy()[order] if name in some.column_names else np.zeros(len(order))
            told[name].append(values)
    return {
        "category:names": names,
        "category:totals": np.concatenate(totals),
        "category:starts": np.cumsum(np.concatenate(counts)),
        **{f"category:{name}": values.whole() for name, values in told.items()},
    }


def _whole_categories(influence: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Tables of all rows of some categories each, of about ``ROWS_AT_ONCE`` rows together or one category."""
    held: list[pa.RecordBatch] = []
    for batch in influence:
        held.append(batch)
        if sum(map(len, held)) >= ROWS_AT_ONCE:
            table = pa.Table.from_batches(held)
            # The last category may go on.
            known = pc.index(table["category"], table["category"][-1]).as_py()
            if known > 0:
                yield table.slice(0, known)
                held = table.slice(known).to_batches()
    if any(map(len, held)):
        yield pa.Table.from_batches(held)


def _coded(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int32]]:
    """The values of a column of strings, sorted, and (rows,) the place of each row's among them; theirs for null."""
    coded = column.combine_chunks().dictionary_encode()
    found = coded.dictionary.to_pylist()
    names = sorted(found)
    place = {name: code for code, name in enumerate(names)}
    to_code = np.array([*(place[name] for name in found), len(names)], np.int32)
    return names, to_code[pc.fill_null(coded.indices, len(names)).to_numpy()]


def _laid_out(values: NDArray[Any] | Sequence[str]) -> NDArray[Any] | Sequence[str]:
    return laid_out(values) if isinstance(values, np.ndarray) else values


def hash_ids(ids: Sequence[str]) -> NDArray[np.uint64]:
    """(n,) a number for each id, the same in every process."""
    return np.frombuffer(b"".join(blake2b(user.encode(), digest_size=8).digest() for user in ids), np.uint64)


def packed(passing: NDArray[np.bool_]) -> Bits:
    """Bit ``row & 63`` of word ``row >> 6`` tells whether the row passes; bits beyond the rows are 0."""
    words = np.zeros(-(-len(passing) // 64), np.uint64)
    bits = np.packbits(passing, bitorder="little")
    words.view(np.uint8)[: len(bits)] = bits
    return words


def unpacked(words: Bits) -> NDArray[np.int64]:
    """The places of the bits that are set, rising."""
    some = np.flatnonzero(words)
    places = np.flatnonzero(np.unpackbits(words[some].view(np.uint8), bitorder="little"))
    found: NDArray[np.int64] = (some[places >> 6] << 6) + (places & 63)
    return found


def _number(column: pa.ChunkedArray) -> Values:
    """values   (rows,) float64  NaN where unknown
    rising   (known,) int32   rows by rising value; equal ones by falling row, so that backwards the best come first
    edges    (B,) float64     values a bin apart, the lowest first
    bitmaps  (B, words)       of the users at or above each edge
    """
    values = np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
    falling = np.argsort(-values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
    rising = falling[::-1]
    edges = np.unique(values[rising[np.arange(BINS) * len(rising) // BINS]]) if len(rising) else np.empty(0)
    return {
        "values": values,
        "rising": rising.astype(np.int32),
        "edges": edges,
        "bitmaps": _stacked([packed(values >= edge) for edge in edges], len(values)),
    }


def _label(column: pa.ChunkedArray) -> Values:
    """labels   sorted
    codes    (rows,) uint8 or uint16  place in ``labels``; their number where unknown
    starts   (L + 2,)                 where the rows of each code start
    rows     (rows,) int32            by code, rising within one
    common   (L + 1,) int32           which bitmap each code has, -1 for none
    bitmaps  (M, words)
    """
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.string())
    labels, codes = _coded(column)
    rows = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[rows], np.arange(len(labels) + 2))
    counts = np.diff(starts)
    common = np.flatnonzero((counts > 0) & (counts * COMMON >= len(codes)))
    which = np.full(len(labels) + 1, -1, np.int32)
    which[common] = np.arange(len(common))
    return {
        "labels": labels,
        "codes": codes.astype(np.uint8 if len(labels) < 256 else np.uint16),
        "starts": starts,
        "rows": rows.astype(np.int32),
        "common": which,
        "bitmaps": _stacked([packed(codes == code) for code in common], len(codes)),
    }


def _stacked(bitmaps: list[Bits], rows: int) -> NDArray[np.uint64]:
    # A width of 0 could not be told from an array of one dimension.
    return np.stack(bitmaps) if bitmaps else np.empty((0, max(-(-rows // 64), 1)), np.uint64)
