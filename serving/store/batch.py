"""One batch of scores, open for reading."""

import functools
import operator
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import ScoresError
from serving.criteria import PRIOR
from serving.evidence import Evidence
from serving.store.filters import (
    CATEGORY,
    CONSENT,
    CONSENTED,
    REACHABLE,
    ColumnInfo,
    Condition,
    Filters,
    some,
    unknown_column,
)
from serving.store.manifest import checked, read_manifest
from serving.store.schemas import CATEGORIES, COMMUNITIES, FOLLOW_UPS, NEXT_ITEMS, SERVED, TIES

Rows = NDArray[np.int64]
NO_FILTERS: Filters = {}
SCORE = "koc_score"
CHURN_ONLY = "the current scores rate churn only: nothing tells who moved whom; map ties, shares or referrers"


class Batch:
    """Immutable; its rows are 0 to ``len(batch) - 1``, best ``koc_score`` first.

    Raises:
        ScoresError: the manifest, or a file, is missing or altered.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        source = pa.memory_map(str(checked(folder, self.manifest, SERVED)))
        self._users = pa.ipc.open_file(source).read_all()

    def __len__(self) -> int:
        return self.manifest.rows

    @cached_property
    def columns(self) -> Mapping[str, ColumnInfo]:
        """Column -> what it holds, in the order of the table."""
        found = {}
        for name in self._users.column_names:
            column = self._users[name]
            if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
                known = self.values(name)[~np.isnan(self.values(name))]
                ends = (float(known.min()), float(known.max())) if len(known) else (None, None)
                found[name] = ColumnInfo(name, "number", (), *ends)
            elif name == "user_id":
                found[name] = ColumnInfo(name, "id")
            elif name in ("reason", "reason_zh"):
                found[name] = ColumnInfo(name, "text")
            else:
                found[name] = ColumnInfo(name, "label", tuple(sorted(pc.unique(column).drop_null().to_pylist())))
        return found

    def select(
        self, filters: Filters, limit: int | None = None, by: str = SCORE, start: int = 0, within: Filters = NO_FILTERS
    ) -> Rows:
        """Rows that pass, best first: by falling ``by``, equal ones by score; places ``start`` to ``start + limit``.

        ``within``: further filters that hold too, such as what a key may see.

        Raises:
            ScoresError: an unknown column or value.
        """
        values = self.values(by) if by in self.columns else None
        if values is None or (len(values) and np.isnan(values).all()):
            if by == SCORE:
                raise ScoresError(CHURN_ONLY)
            raise ScoresError(f"the current scores have no {by}: no amounts are mapped, or nobody moved anybody; use score")
        if category := filters.get(CATEGORY):
            values = self.category_score(str(category), by)
        order = np.argsort(-values, kind="stable")
        passing = self.mask(filters) & self.mask(within) & ~np.isnan(values)
        found: Rows = order[passing[order]]
        return found[start : None if limit is None else start + limit]

    def mask(self, filters: Filters) -> NDArray[np.bool_]:
        """(rows,) who passes; ``category`` takes out nobody.

        Raises:
            ScoresError: an unknown column or value.
        """
        passing = np.ones(len(self), dtype=bool)
        for name, condition in filters.items():
            if name != CATEGORY:
                passing &= self._passing(name, condition)
        return passing

    def _passing(self, name: str, condition: Condition) -> NDArray[np.bool_]:
        if name == REACHABLE:
            wanted = f"{CONSENT}{condition}"
            columns = [column for column in self.columns if column == wanted or column.startswith(f"{wanted}_")]
            if not columns:
                raise ScoresError(f"nobody's consent for {condition!r} is known")
            said = [[str(value).strip().lower() in CONSENTED for value in self.values(column)] for column in columns]
            return np.any(np.array(said, dtype=bool).reshape(len(columns), len(self)), axis=0)
        info = self.columns.get(name)
        if info is None or not info.filterable:
            raise unknown_column(name, self.columns)
        values = self.values(name)
        if isinstance(condition, Mapping):
            passing = ~np.isnan(values)
            if "min" in condition:
                passing &= values >= condition["min"]
            if "max" in condition:
                passing &= values <= condition["max"]
            return passing
        wanted_values = [condition] if isinstance(condition, str | float | int | bool | None) else list(condition)
        if info.kind == "label":
            for value in wanted_values:
                if value is not None and value not in info.values:
                    raise ScoresError(f"no user has {name} {value!r}; choose from {some(str(value), info.values)}")
        return np.array([value in wanted_values for value in values], dtype=bool)

    def category_score(self, category: str, by: str = SCORE) -> NDArray[np.float64]:
        """(rows,) what ``by`` expects times the share of influence that falls into the category.

        The share is a user's own record, backed by ``PRIOR`` people at the market's share, so that one lucky follow-up does
        not beat a long record, and people without a record are ranked too.

        Raises:
            ScoresError: nobody moved anybody in that category.
        """
        influence = self.categories()
        known = sorted(set(influence["category"].to_pylist()))
        if category not in known:
            raise ScoresError(f"nobody moved anybody in category {category!r}; choose from {some(category, known)}" if known
                              else "the current scores know no category: their dataset maps no items.category")  # fmt: skip
        total = influence.group_by("user_id").aggregate([("influence", "sum")])
        inside = influence.filter(pc.equal(influence["category"], category))
        moved, moved_inside = self._looked_up(total, "influence_sum"), self._looked_up(inside, "influence")
        market = pc.sum(inside["influence"]).as_py() / pc.sum(influence["influence"]).as_py()
        score: NDArray[np.float64] = self.values(by) * (moved_inside + PRIOR * market) / (moved + PRIOR)
        return score

    def _looked_up(self, rows: pa.Table, column: str) -> NDArray[np.float64]:
        place = pc.index_in(self._users["user_id"], value_set=rows["user_id"].combine_chunks())
        found: NDArray[np.float64] = pc.fill_null(pc.take(rows[column], place), 0.0).to_numpy()
        return found

    def rows_of(self, user_ids: list[str]) -> Rows:
        """(n,) the row of each user; -1 for those not in the batch."""
        place = pc.index_in(pa.array(user_ids, pa.string()), value_set=self._users["user_id"].combine_chunks())
        found: Rows = pc.fill_null(place, -1).to_numpy().astype(np.int64)
        return found

    def table(self, rows: Rows | None = None, columns: list[str] | None = None) -> pa.Table:
        """The scores of ``rows`` in their order, by default of all; columns as in `score_users`."""
        users = self._users if columns is None else self._users.select(columns)
        return users if rows is None else users.take(pa.array(rows))

    def json(self, rows: Rows) -> bytes:
        """A JSON array with one object per row."""
        return orjson.dumps(self.table(rows).to_pylist())

    def values(self, column: str) -> NDArray[np.generic]:
        """(rows,) numbers as float64, NaN where unknown; of other columns, objects, None where unknown."""
        found = self._users[column]
        if pa.types.is_floating(found.type) or pa.types.is_integer(found.type):
            numbers: NDArray[np.generic] = found.cast(pa.float64()).to_numpy()
            return numbers
        return np.array(found.to_pylist(), dtype=object)

    def codes(self, column: str) -> NDArray[np.generic]:
        """(rows,) of a label: the place of each value in ``columns[column].values``; that many where unknown."""
        labels = {value: code for code, value in enumerate(self.columns[column].values)}
        return np.array([labels.get(value, len(labels)) for value in self.values(column)], dtype=np.uint16)

    def evidence(self) -> Evidence:
        """Who followed the explained users, and what to hand them next."""
        return Evidence(pq.read_table(self._checked(FOLLOW_UPS)), pq.read_table(self._checked(NEXT_ITEMS)))

    def ties(self, influencers: pa.Array | None = None, *, followers: pa.Array | None = None) -> pa.Table:
        """Ties with what each is expected to carry, of ``influencers`` and ``followers`` (ids) alone where given."""
        given = {"influencer_id": influencers, "user_id": followers}
        asked = [pc.field(name).isin(ids) for name, ids in given.items() if ids is not None]
        return pq.read_table(self._checked(TIES), filters=functools.reduce(operator.and_, asked) if asked else None)

    def categories(self) -> pa.Table:
        """Influence by user and category; columns as in `category_influence`."""
        return pq.read_table(self._checked(CATEGORIES))

    def communities(self) -> pa.Table:
        """Churn by community; columns as in `community_churn`."""
        return pq.read_table(self._checked(COMMUNITIES))

    @cache  # noqa: B019
    def _checked(self, name: str) -> Path:
        return checked(self.folder, self.manifest, name)
