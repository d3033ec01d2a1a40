"""All that models read of one date: users with their features, the ties between them, and who bought what."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.engine import Engine, rows_in
from features.labels import churn_population
from features.lookback import since_lookback
from features.snapshot import Snapshot
from features.user_table import UserTable
from training.matrix import Floats, Matrix, Places, among, places_of, to_matrix
from training.roomy import let_go, roomy


@dataclass(frozen=True)
class Ties:
    """Who may follow whom, sorted by influencer, then by follower; influencers who never acted are left out.

    ``followers``: (E,) row of the matrix, -1 for somebody who has not acted yet. ``follower_ids``: (E,) their ids.
    ``influencers``: (E,) row of the matrix. ``x``: (E, T) float32, nan where unknown, `roomy`; read it by ``select``.
    ``columns``: (T,) names; see `features.tie_table`.
    """

    followers: Places
    follower_ids: pa.Array
    influencers: Places
    x: npt.NDArray[np.float32]
    columns: tuple[str, ...]

    def select(self, columns: Sequence[str], ties: Places | slice = slice(None)) -> npt.NDArray[np.float32]:
        """(E, len(columns)) in the order asked for; ties: places of some of them, to be told of these only."""
        wanted = [self.columns.index(column) for column in columns]
        read = self.x[ties, wanted] if isinstance(ties, slice) else self.x[np.ix_(ties, np.array(wanted, np.int64))]
        let_go(self.x)
        return np.asarray(read)

    def __len__(self) -> int:
        return len(self.followers)


@dataclass(frozen=True)
class Purchases:
    """Who bought what, one row per user and subject: ``users`` (P,) rows of the matrix, ``subjects`` (P,) codes from 0,
    ``age_days`` (P,) from the last purchase of it to ``as_of``."""

    users: Places
    subjects: Places
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


def build_frame(table: UserTable, snapshot: Snapshot) -> Frame:
    """Read the user table and tie table of ``snapshot`` into memory, in an order that depends on ids only."""
    engine = snapshot.engine
    users, places = places_of(table, engine)
    matrix = to_matrix(table, engine, users, places)
    bought = None
    if snapshot.has("orders", "item_id"):
        taken = since_lookback(snapshot, snapshot["adoptions"], "last_at")
        bought = _purchases(taken.select("user_id", "subject", age=snapshot.days_before(taken.last_at)), engine, places)
    ties = _ties(table.ties, table.tie_columns, engine, places)
    engine.release(places)
    buyers = np.zeros(len(users), dtype=bool)
    if "orders" in snapshot:
        buyers = among(users, churn_population(snapshot), engine)
    return Frame(matrix, ties, bought, buyers, tuple(snapshot.windows), snapshot.time.horizon.total_seconds() / 86_400)


def _ties(table: ir.Table, columns: Sequence[str], engine: Engine, places: ir.Table) -> Ties:
    """places: (user_id, place) of the users of the matrix."""
    influencers = places.rename(influencer_id="user_id", influencer="place")
    acted = table.join(influencers, "influencer_id").left_join(places, "user_id")
    size = rows_in(acted, engine)
    ends = np.empty((2, size), np.int64)
    x, ids, start = roomy((size, len(columns))), [], 0
    floats = {column: acted[column].cast("float32") for column in columns}
    told = acted.select("user_id", "influencer", follower=acted.place.fill_null(-1), **floats)
    with closing(engine.stream(told.order_by(["influencer", "user_id"]))) as parts:
        for rows in parts:
            some = slice(start, start := start + len(rows))
            ids.append(rows["user_id"])
            ends[0, some], ends[1, some] = rows["follower"], rows["influencer"]
            for number, column in enumerate(columns):
                x[some, number] = rows[column].to_numpy(zero_copy_only=False)
            let_go(x)
    return Ties(ends[0], pa.chunked_array(ids, pa.string()).combine_chunks(), ends[1], x, tuple(columns))


def _purchases(taken: ir.Table, engine: Engine, places: ir.Table) -> Purchases:
    """places: (user_id, place) of the users of the matrix."""
    # Sorted by id, so that codes do not depend on the order in which subjects are met.
    subjects = engine.to_arrow(taken.select("subject").distinct().order_by("subject"))
    codes = engine.from_arrow(subjects.append_column("code", pa.array(np.arange(len(subjects)))))
    known = taken.join(places, "user_id").join(codes, "subject").select("place", "code", "age")
    size, start = rows_in(known, engine), 0
    ends, age = np.empty((2, size), np.int64), np.empty(size)
    with closing(engine.stream(known.order_by(["place", "code"]))) as parts:
        for rows in parts:
            some = slice(start, start := start + len(rows))
            ends[0, some], ends[1, some], age[some] = rows["place"], rows["code"], rows["age"]
    engine.release(codes)
    return Purchases(ends[0], ends[1], age)


def place_among(ids: pa.Array | pa.ChunkedArray, known: pa.Array) -> Places:
    """(n,) place of each id among ``known``, -1 for ids that are not among them."""
    place = pc.index_in(ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids, value_set=known)
    found: Places = pc.fill_null(place, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found
