"""All that models read of one date: users with their features, the ties between them, and who bought what."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.engine import Engine
from features.labels import churn_population
from features.lookback import since_lookback
from features.snapshot import Snapshot
from features.user_table import UserTable
from training.matrix import Floats, Matrix, Places, among, places_of, to_matrix
from training.roomy import Appended, let_go

TIES_AT_ONCE = 2_000_000

Ends = npt.NDArray[np.int32]
"""Places of people or subjects: of 100 M ties or purchases half of what places of 64 bits would take."""


@dataclass(frozen=True)
class Ties:
    """Who may follow whom, sorted by influencer, then by follower; influencers who never acted are left out.

    ``followers``: (E,) row of the matrix, or from its number of rows on a place among ``strangers``: (S,) ids of those who
    have not acted yet. ``influencers``: (E,) row of the matrix. ``x``: (E, T) float32, nan where unknown, `roomy`; read it
    by ``select``. ``columns``: (T,) names; see `features.tie_table`.
    """

    followers: Ends
    strangers: pa.Array
    influencers: Ends
    x: npt.NDArray[np.float32]
    columns: tuple[str, ...]

    def select(self, columns: Sequence[str], ties: Places | slice = slice(None)) -> npt.NDArray[np.float32]:
        """(E, len(columns)) in the order asked for; ties: places of some of them, to be told of these only."""
        wanted = [self.columns.index(column) for column in columns]
        first, last, _ = ties.indices(len(self)) if isinstance(ties, slice) else (0, len(ties), 1)
        read = np.empty((max(0, last - first), len(wanted)), np.float32)
        # All columns of a tie lie side by side: but for parts, the whole file would be in memory for one column.
        for start in range(first, last, TIES_AT_ONCE):
            some = slice(start, min(start + TIES_AT_ONCE, last))
            rows = self.x[some if isinstance(ties, slice) else ties[some]]
            read[start - first : some.stop - first] = rows[:, wanted]
            let_go(self.x)
        return read

    def __len__(self) -> int:
        return len(self.followers)


@dataclass(frozen=True)
class Purchases:
    """Who bought what, one row per user and subject: ``users`` (P,) rows of the matrix, ``subjects`` (P,) codes from 0,
    ``age_days`` (P,) from the last purchase of it to ``as_of``."""

    users: Ends
    subjects: Ends
    age_days: Floats


@dataclass(frozen=True)
class Frame:
    """Users, ties and purchases as they were known at one date.

    ``churn_population``: (N,) who ordered in the two horizons before. ``windows``: suffixes of windowed features, such as
    ``42d``, the shortest first. ``horizon_days``: that of the labels.
    """

    matrix: Matrix
    ties: Ties
    purchases: Purchases | None
    churn_population: npt.NDArray[np.bool_]
    windows: tuple[str, ...]
    horizon_days: float

    @property
    def users(self) -> npt.NDArray[np.object_]:
        """(N,) ids, ascending."""
        return self.matrix.users

    @property
    def people(self) -> pa.Array:
        """(N + S,) ids of users, and behind them of the strangers to whom there are ties."""
        return pa.concat_arrays([pa.array(self.users, pa.string()), self.ties.strangers])


def build_frame(table: UserTable, snapshot: Snapshot) -> Frame:
    """Read users and ties of ``snapshot`` into memory, in an order that depends on ids only."""
    engine = snapshot.engine
    users, places = places_of(table, engine)
    ties = _ties(table.ties, table.tie_columns, engine, places, len(users))
    matrix = to_matrix(table, engine, users, places)
    bought = None
    if snapshot.has("orders", "item_id"):
        taken = since_lookback(snapshot, snapshot["adoptions"], "last_at")
        bought = _purchases(taken.select("user_id", "subject", age=snapshot.days_before(taken.last_at)), engine, places)
    engine.release(places)
    buyers = np.zeros(len(users), dtype=bool)
    if "orders" in snapshot:
        buyers = among(users, churn_population(snapshot), engine)
    return Frame(matrix, ties, bought, buyers, tuple(snapshot.windows), snapshot.time.horizon.total_seconds() / 86_400)


def _ties(parts: Iterable[ir.Table], columns: Sequence[str], engine: Engine, places: ir.Table, users: int) -> Ties:
    """parts: by rising influencers; places: (user_id, place) of the users of the matrix, as many as ``users``."""
    influencers = places.rename(influencer_id="user_id", influencer="place")
    x, followers, led = Appended(len(columns)), Appended(dtype=np.int32), Appended(dtype=np.int32)
    strangers = []
    for part in parts:
        acted = part.join(influencers, "influencer_id").left_join(places, "user_id")
        floats = {column: acted[column].cast("float32") for column in columns}
        told = acted.select("user_id", "influencer", follower=acted.place.fill_null(-1), **floats)
        with closing(engine.stream(told.order_by(["influencer", "user_id"]))) as batches:
            for rows in batches:
                x.append(np.column_stack([rows[column].to_numpy(zero_copy_only=False) for column in columns]))
                followers.append(rows["follower"].to_numpy())
                led.append(rows["influencer"].to_numpy())
                strangers.append(rows["user_id"].filter(pc.less(rows["follower"], 0)))
    unknown = pa.chunked_array(strangers, pa.string()).combine_chunks().dictionary_encode()
    ends = followers.whole()
    ends[ends < 0] = users + unknown.indices.to_numpy()
    return Ties(ends, unknown.dictionary, led.whole(), x.whole(), tuple(columns))


def _purchases(taken: ir.Table, engine: Engine, places: ir.Table) -> Purchases:
    """places: (user_id, place) of the users of the matrix."""
    # Sorted by id, so that codes do not depend on the order in which subjects are met.
    subjects = engine.to_arrow(taken.select("subject").distinct().order_by("subject"))
    codes = engine.from_arrow(subjects.append_column("code", pa.array(np.arange(len(subjects)))))
    known = taken.join(places, "user_id").join(codes, "subject").select("place", "code", "age")
    told = {"place": Appended(dtype=np.int32), "code": Appended(dtype=np.int32), "age": Appended(dtype=np.float64)}
    with closing(engine.stream(known.order_by(["place", "code"]))) as parts:
        for rows in parts:
            for name, values in told.items():
                values.append(rows[name].to_numpy())
    engine.release(codes)
    users, bought, age = (values.whole() for values in told.values())
    return Purchases(users, bought, age)


def place_among(ids: pa.Array | pa.ChunkedArray, known: pa.Array) -> Places:
    """(n,) place of each id among ``known``, -1 for ids that are not among them."""
    place = pc.index_in(ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids, value_set=known)
    found: Places = pc.fill_null(place, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
