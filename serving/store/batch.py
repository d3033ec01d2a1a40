"""One batch of scores, open for reading."""

import json
import operator
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import FilterError, ScoresError
from serving.evidence import Evidence
from serving.store.arrays import Arrays
from serving.store.categories import Categories
from serving.store.columns import Label, Number
from serving.store.conditions import Among, Check, check_label, check_number
from serving.store.files import Files
from serving.store.filters import (
    CATEGORY,
    CONSENT,
    CONSENTED,
    REACHABLE,
    ColumnInfo,
    Condition,
    Filters,
    listed,
    unknown_column,
)
from serving.store.index import hash_ids, packed
from serving.store.kept import kept
from serving.store.manifest import read_manifest
from serving.store.records import Records
from serving.store.schemas import (
    CATEGORIES,
    COMMUNITIES,
    DRIFT,
    DRIFT_SCHEMA,
    FOLLOW_UPS,
    INDEX,
    KPIS,
    KPIS_SCHEMA,
    NEXT_ITEMS,
    RECORDS,
    TABLE,
    TIES,
)
from serving.store.search import Ranking, best_by

Rows = NDArray[np.int64]
NO_FILTERS: Filters = {}
SCORE = "koc_score"
CHANNELS = 16
"""Sets of channels whose consents are kept: a bit a user each."""

OFFERS = 256
"""Columns whose labels within some filters are kept."""

RANKINGS = 8
"""Orders by category that are kept: 12 bytes a user each."""


class Batch:
    """Immutable; its rows are 0 to ``len(batch) - 1``, best ``koc_score`` first.

    What is read is compared with its checksum the first time, then never again for this batch: all of a Parquet file, and
    of those that queries read the blocks asked for; ``verify`` compares everything. What is open stays readable for as long
    as the batch is held, whatever the store does. ``only``: the files to hold open, for whoever asks nothing of the others;
    by default all.

    Raises:
        ScoresError: the manifest, or what is read for the first time, is missing or altered.
    """

    def __init__(self, folder: Path, only: Collection[str] | None = None) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._files = Files(folder, self.manifest, only)
        self._index = Arrays(self._files[INDEX])
        self._categories = Categories(self._index, len(self))
        self._ranking = kept(RANKINGS, self._ranked)
        self._reachable = kept(CHANNELS, self._consenting)
        self._offered = kept(OFFERS, self._labels)

    def verify(self) -> "Batch":
        """Itself, after the checksums of all files, so that no answer meets a spoilt one.

        Raises:
            ScoresError: a file was altered.
        """
        self._files.verify()
        return self

    @property
    def _schema(self) -> pa.Schema:
        return self._files[TABLE].table.schema

    def _column(self, name: str) -> pa.ChunkedArray:
        column = self._files[TABLE].table[name]
        self._files[TABLE].require_values(column)
        return column

    @cached_property
    def _records(self) -> Records:
        return Records(self._files[RECORDS], self._index["records:starts"])

    def __len__(self) -> int:
        return self.manifest.rows

    @cached_property
    def columns(self) -> Mapping[str, ColumnInfo]:
        """Column -> what it holds, in the order of the table."""
        found = {}
        for name in self.manifest.columns:
            column = self._filterable.get(name)
            found[name] = ColumnInfo(name, self._index.strings(f"kind:{name}")[0]) if column is None else column.info
        return found

    def info(self, column: str, who: NDArray[np.bool_]) -> ColumnInfo:
        """What a column that filters may name holds of ``who`` (rows,).

        Raises:
            ScoresError: there is no such column, or it holds neither numbers nor labels.
        """
        found = self._filterable.get(column)
        if found is None:
            raise unknown_column(column, self.columns)
        if isinstance(found, Label):
            codes = np.unique(found.codes[who]).tolist()
            return replace(found.info, values=tuple(found.labels[code] for code in codes if code < len(found.labels)))
        known = found.values[who & ~np.isnan(found.values)]
        ends = (float(known.min()), float(known.max())) if len(known) else (None, None)
        return replace(found.info, lowest=ends[0], highest=ends[1])

    @cached_property
    def _filterable(self) -> Mapping[str, Label | Number]:
        found: dict[str, Label | Number] = {}
        for name in self.manifest.columns:
            kind = self._index.strings(f"kind:{name}")[0]
            if kind in ("label", "number"):
                found[name] = Label(name, self._index) if kind == "label" else Number(name, self._index)
        return found

    def select(
        self, filters: Filters, limit: int | None = None, by: str = SCORE, start: int = 0, within: Filters = NO_FILTERS
    ) -> Rows:
        """Rows that pass, best first: by falling ``by``, equal ones by score; places ``start`` to ``start + limit``.

        Who has no value of ``by`` is left out. With a ``category``, ``by`` is weighed as in `category_score`. ``within``:
        further filters that hold too, such as what a key may see; their ``category`` asks for a record in it.

        Raises:
            ScoresError: an unknown column or value.
        """
        need = len(self) if limit is None else min(start + limit, len(self))
        category = filters.get(CATEGORY)
        ranking = self._ranking(by, None if category is None else str(category))
        checks = self._checks(filters, within)
        return best_by(ranking, checks, len(self), need)[start:].astype(np.int64)

    def mask(self, filters: Filters, within: Filters = NO_FILTERS) -> NDArray[np.bool_]:
        """(rows,) who passes; the ``category`` of ``filters`` takes out nobody, that of ``within`` as in `select`.

        Raises:
            ScoresError: an unknown column or value.
        """
        passing = np.ones(len(self), dtype=bool)
        for check in self._checks(filters, within):
            passing &= check.everybody()
        return passing

    def _checks(self, filters: Filters, within: Filters) -> list[Check]:
        found = [self._check(name, condition) for name, condition in filters.items() if name != CATEGORY]
        for name, condition in within.items():
            if name == CATEGORY:
                found.append(self._categories.with_record(_all_of(condition)))
            else:
                found.append(self._check(name, condition))
        return found

    def _check(self, name: str, condition: Condition) -> Check:
        if name == REACHABLE:
            return self._reachable(tuple(sorted({*_all_of(condition)})))
        column = self._filterable.get(name)
        if column is None:
            raise unknown_column(name, self.columns)
        return check_label(column, condition) if isinstance(column, Label) else check_number(column, condition)

    def _labels(self, column: str, within: str) -> Sequence[str]:
        """The values of a label that users within some filters (JSON) have, sorted."""
        return self.info(column, self.mask(NO_FILTERS, json.loads(within))).values

    def has(self, name: str, value: str) -> bool:
        """Whether filters may ask for ``value`` in a column, a category or a channel."""
        if name == CATEGORY:
            return value in self._categories.names
        try:
            self._check(name, value)
        except FilterError:
            return False
        return True

    def require(self, filters: Filters, within: Filters | None) -> None:
        """Raises:
        ScoresError: ``filters`` name a column, a category or a label that there is not ``within`` other filters, such as
            what a key may see, and tells those that there are. None is nobody, of whom no value is known or wrong.
        """
        for name, condition in filters.items():
            column = self._filterable.get(name)
            if column is None and name not in (CATEGORY, REACHABLE):
                raise unknown_column(name, self.columns)
            if isinstance(column, Label) and within:
                check_label(column, condition, self._offered(name, json.dumps(within)))
        category, names = filters.get(CATEGORY), self._categories.names
        if category is not None and str(category) not in names and within is not None:
            seen = self.mask(NO_FILTERS, within)
            known = [name for name in names if (self._categories.moved(name)[seen] > 0).any()]
            raise self._categories.unknown(str(category), known)

    def _consenting(self, channels: tuple[str, ...]) -> Check:
        """Who consents to any of the channels: ``sms`` is ``consent_sms`` or ``consent_sms_PURPOSE`` for any purpose."""
        passing = np.zeros(len(self), dtype=bool)
        for channel in channels:
            wanted = f"{CONSENT}{channel}"
            columns = [
                self._filterable[name] for name in self._filterable if name == wanted or name.startswith(f"{wanted}_")
            ]
            if not columns:
                known = [name.removeprefix(CONSENT) for name in self._filterable if name.startswith(CONSENT)]
                raise FilterError(f"no attribute tells who consents to {channel!r}; choose from {listed(channel, known)}")
            for column in columns:
                if isinstance(column, Label):
                    said = [label for label in column.labels if label.strip().lower() in CONSENTED]
                    passing |= check_label(column, said).everybody()
        return Among(packed(passing), len(self))

    def category_score(self, category: str, by: str = SCORE) -> NDArray[np.float64]:
        """(rows,) what ``by`` expects times the share of a user's influence that falls into the category.

        Raises:
            ScoresError: nobody moved anybody in that category, or the scores have no ``by``.
        """
        return self._ranking(by, category).values

    def category_moved(self, category: str) -> NDArray[np.float64]:
        """(rows,) people whom each user moved in the category.

        Raises:
            ScoresError: nobody moved anybody in that category.
        """
        return self._categories.moved(category)

    def _ranked(self, by: str, category: str | None) -> Ranking:
        column = self._filterable.get(by)
        if not isinstance(column, Number) or (len(self) and not column.known):
            if by == SCORE:
                raise ScoresError(
                    "the current scores rate churn only: nothing tells who moved whom; map ties, shares or referrers"
                )
            raise ScoresError(f"the current scores have no {by}: no amounts are mapped, or nobody moved anybody; use score")
        if category is not None:
            return self._categories.ranking(column.values, category)
        whole = by == SCORE and column.known == len(self)
        return Ranking(column.values, None if whole else column.rising[::-1])

    def rows_of(self, user_ids: Sequence[str]) -> Rows:
        """(n,) the row of each user; -1 for those not in the batch."""
        hashes, rows, wanted = self._index["id:hashes"], self._index["id:rows"], hash_ids(user_ids)
        place, found = np.searchsorted(hashes, wanted), np.full(len(wanted), -1, np.int64)
        asked = pa.array(user_ids, pa.string())
        ids = self._column("user_id")
        # Two ids may have one hash, so those after the first with it are asked as well.
        open_ = np.arange(len(wanted))
        while len(open_ := open_[place[open_] < len(hashes)]) and len(open_ := open_[hashes[place[open_]] == wanted[open_]]):
            row = rows[place[open_]]
            same = pc.equal(ids.take(pa.array(row)).combine_chunks(), asked.take(pa.array(open_))).to_numpy(
                zero_copy_only=False
            )
            found[open_[same]] = row[same]
            place[open_] += 1
            open_ = open_[~same]
        return found

    def table(self, rows: Rows | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The scores of ``rows`` in their order, by default of all; columns as in `score_users`."""
        names = list(self.manifest.columns) if columns is None else list(columns)
        schema = pa.schema([self._schema.field(name) for name in names])
        return pa.table({name: self._column(name) if rows is None else self._taken(name, rows) for name in names}, schema)

    def _taken(self, name: str, rows: Rows) -> pa.Array:
        """As in the table; out of the index where it can be, so that less is read into memory."""
        found, kind = self._filterable.get(name), self._schema.field(name).type
        if isinstance(found, Number) and pa.types.is_floating(kind):
            values = found.values[rows]
            return pa.array(values, mask=np.isnan(values)).cast(kind)
        if isinstance(found, Label) and not pa.types.is_boolean(kind):
            codes = found.codes[rows]
            labels = pa.array(found.labels, kind)
            return labels.take(pa.array(codes, mask=codes == len(labels)))
        return self._column(name).take(pa.array(rows))

    def json(self, rows: Rows) -> bytes:
        """A JSON array with one object per row, its keys as the columns."""
        return self._records.array(rows)

    def values(self, column: str) -> NDArray[Any]:
        """(rows,) numbers as float64, NaN where unknown; of other columns, objects, None where unknown.

        Raises:
            ScoresError: there is no such column.
        """
        found = self._filterable.get(column)
        if isinstance(found, Number):
            return found.values
        if isinstance(found, Label):
            labels: NDArray[Any] = np.array([*found.labels, None], dtype=object)
            return labels.take(found.codes)
        if column not in self.columns:
            raise FilterError(f"the current scores have no {column}; choose from {listed(column, self.columns)}")
        return np.array(self._column(column).to_pylist(), dtype=object)

    def codes(self, column: str) -> NDArray[Any]:
        """(rows,) of a label: the place of each value in ``columns[column].values``; that many where unknown.

        Raises:
            ScoresError: there is no such column, or it holds no labels.
        """
        found = self._filterable.get(column)
        if not isinstance(found, Label):
            labels = [name for name, info in self.columns.items() if info.kind == "label"]
            raise FilterError(f"the current scores have no labels {column}; choose from {listed(column, labels)}")
        return found.codes

    def evidence(self) -> Evidence:
        """Who followed the explained users, and what to hand them next."""
        return Evidence(self._parquet(FOLLOW_UPS), self._parquet(NEXT_ITEMS))

    def ties(self, influencers: pa.Array | None = None, *, followers: pa.Array | None = None) -> pa.Table:
        """Ties with what each is expected to carry, of ``influencers`` and ``followers`` (ids) alone where given."""
        given = {"influencer_id": influencers, "user_id": followers}
        asked = [pc.field(name).isin(ids) for name, ids in given.items() if ids is not None]
        return self._parquet(TIES, reduce(operator.and_, asked) if asked else None)

    def categories(self) -> pa.Table:
        """Influence by user and category; columns as in `category_record`."""
        return self._parquet(CATEGORIES)

    def communities(self) -> pa.Table:
        """What is so of each community; columns as in `communities_of`."""
        return self._parquet(COMMUNITIES)

    def kpis(self) -> pa.Table:
        """The ledger of assets; columns as in `serving.kpis.kpis`.

        Raises:
            ScoresError: the batch holds none.
        """
        found = self._parquet(KPIS) if KPIS in self.manifest.checksums else KPIS_SCHEMA.empty_table()
        if not len(found):
            raise ScoresError(f"batch {self.manifest.batch} holds no ledger of assets; score again with `koc score`")
        return found

    def drift(self) -> pa.Table:
        """How far features and scores have moved since the model was trained; columns as in `Profile.drift`.

        Raises:
            ScoresError: the batch does not tell.
        """
        found = self._parquet(DRIFT) if DRIFT in self.manifest.checksums else DRIFT_SCHEMA.empty_table()
        if not len(found):
            raise ScoresError(f"batch {self.manifest.batch} does not tell of drift; score again with `koc score`")
        return found

    def _parquet(self, name: str, wanted: pc.Expression | None = None) -> pa.Table:
        return pq.read_table(pa.BufferReader(self._files.whole(name).mapped), filters=wanted)


def _all_of(condition: Condition) -> tuple[str, ...]:
    """One name or several, as texts."""
    if isinstance(condition, Sequence) and not isinstance(condition, str):
        return tuple(str(name) for name in condition)
    return (str(condition),)
