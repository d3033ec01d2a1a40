"""Features and labels of a dataset by date, each computed once: what training and backtests read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.labels import influence_labels, require_mature, stayed, tie_labels
from features.prepare import ledger_alone, prepare, with_ledger
from features.snapshot import Snapshot, accounts_known, take_snapshot
from features.splits import training_dates
from features.tables import Tables
from features.user_table import build_user_table
from training.frame import Frame, build_frame, place_among
from training.matrix import Floats, Matrix, among, values_of

END_OF_TIME = datetime(9999, 1, 1)
"""The truth of a date is told by all rows there are, however late they were recorded."""


@dataclass(frozen=True)
class Labels:
    """What the users and ties of a frame did within the horizon, in their order.

    ``influence``: (N,) people moved, >= 0. ``influence_value``: (N,) minor units. ``people_moved``: (N,)
    different people. ``churned``: (N,) no order, which tells something of members of the churn population. ``follows``: (E,)
    weight that each tie carried, >= 0.
    """

    influence: Floats
    influence_value: Floats
    people_moved: Floats
    churned: npt.NDArray[np.bool_]
    follows: Floats


@dataclass
class Timeline:
    """Frames of one dataset, and snapshots until they are forgotten, each computed once."""

    tables: Tables
    progress: Callable[[str], None] = lambda _: None
    _snapshots: dict[tuple[datetime, datetime], Snapshot] = field(default_factory=dict)
    _views: dict[tuple[datetime, datetime], Snapshot] = field(default_factory=dict)
    _frames: dict[datetime, Frame] = field(default_factory=dict)

    def snapshot(self, as_of: datetime, *, people_as_of: datetime | None = None) -> Snapshot:
        """The prepared snapshot at ``as_of``; ``people_as_of`` matters where identities are mapped."""
        people = self._people_known(as_of, people_as_of)
        if (as_of, people) not in self._snapshots:
            self._snapshots[as_of, people] = prepare(self._taken(as_of, people))
        return self._snapshots[as_of, people]

    def forget(self, as_of: datetime) -> None:
        """Give back what the snapshot of ``as_of`` holds in the engine; its frame, and what labels need of it, stay."""
        for key in [key for key in self._snapshots if key[0] == as_of]:
            self._views[key] = ledger_alone(self._snapshots.pop(key))

    def view(self, as_of: datetime, known_at: datetime) -> Snapshot:
        """What was known at ``known_at`` of the horizon after ``as_of``: the ledger and the tables of the sources.

        Raises:
            ImmatureLabelError: the window of ``as_of`` is not closed by then.
        """
        require_mature(self.tables, as_of, known_at)
        return self._view(known_at, as_of)

    def _view(self, as_of: datetime, people_as_of: datetime) -> Snapshot:
        """The snapshot that tells labels: at least its ledger and the tables of the sources."""
        key = as_of, self._people_known(as_of, people_as_of)
        if key in self._snapshots:
            return self._snapshots[key]
        if key not in self._views:
            self._views[key] = ledger_alone(with_ledger(self._taken(*key)))
        return self._views[key]

    def _people_known(self, as_of: datetime, people_as_of: datetime | None) -> datetime:
        return (people_as_of or as_of) if "identities" in self.tables.tables else as_of

    def _taken(self, as_of: datetime, people: datetime) -> Snapshot:
        self.progress("the truth: ledger" if as_of == END_OF_TIME else f"{as_of:%Y-%m-%d}: snapshot and ledger")
        return take_snapshot(self.tables, as_of, people_as_of=people)

    def frame(self, as_of: datetime) -> Frame:
        """Features of all users with an act before ``as_of``, with their ties and purchases."""
        if as_of not in self._frames:
            snapshot, engine = self.snapshot(as_of), self.tables.engine
            table = build_user_table(snapshot, lambda block: self.progress(f"{as_of:%Y-%m-%d}: {block}"))
            self._frames[as_of] = build_frame(table, snapshot)
            engine.release(table.users)
        return self._frames[as_of]

    def matrix(self, as_of: datetime) -> Matrix:
        """Features of all users with an act before ``as_of``."""
        return self.frame(as_of).matrix

    def labels(self, as_of: datetime, known_at: datetime | None = None) -> Labels:
        """Labels of ``matrix(as_of).users`` as they were known at ``known_at`` (default: at the end of the data).

        Raises:
            ImmatureLabelError: the window of ``as_of`` is not closed by then.
        """
        require_mature(self.tables, as_of, known_at)
        view = self._view(known_at or END_OF_TIME, as_of)
        engine, frame = self.tables.engine, self.frame(as_of)
        users = frame.users
        moved = values_of(influence_labels(view, as_of), engine, users, ("influence", "influence_value", "people_moved"))
        nobody = np.zeros(len(users), dtype=bool)
        has_orders = "orders" in view
        return Labels(
            moved["influence"],
            moved["influence_value"],
            moved["people_moved"],
            churned=~among(users, stayed(view, as_of), engine) if has_orders else nobody,
            follows=self._follows(view, as_of),
        )

    def people(self, users: npt.NDArray[np.object_], known_at: datetime) -> npt.NDArray[np.object_]:
        """(N,) the person that each of ``users`` was known to be at ``known_at``."""
        if "identities" not in self.tables.tables:
            return users
        merged = accounts_known(self.tables, known_at)
        ids = pa.array(users, pa.string())
        place = pc.index_in(ids, value_set=merged["account"].combine_chunks())
        person = pc.coalesce(pc.take(merged["person_id"].combine_chunks(), place), ids)
        people: npt.NDArray[np.object_] = person.to_numpy(zero_copy_only=False)
        return people

    def _follows(self, view: Snapshot, as_of: datetime) -> Floats:
        frame = self.frame(as_of)
        carried = self.tables.engine.to_arrow(tie_labels(view, as_of))
        # By id, not by row: whoever has not acted yet is in no row, and winning them counts most.
        pairs = (
            place_among(carried["user_id"], frame.people),
            place_among(carried["influencer_id"], pa.array(frame.users, pa.string())),
        )
        known = (pairs[0] >= 0) & (pairs[1] >= 0)
        keys, weights = (pairs[0] * len(frame.users) + pairs[1])[known], carried["follows"].to_numpy()[known]
        wanted = frame.ties.followers.astype(np.int64) * len(frame.users) + frame.ties.influencers
        found = pc.take(pa.array(weights), pc.index_in(pa.array(wanted), value_set=pa.array(keys)))
        follows: Floats = pc.fill_null(found, 0.0).to_numpy()
        return follows

    def training_dates(self, as_of: datetime, most: int, per_horizon: int = 1) -> list[datetime]:
        """Dates to learn from for a model that is used at ``as_of``, latest first; see `features.splits`."""
        first = self.first_event(as_of)
        horizon = self.tables.dataset.time.horizon
        return training_dates(as_of, horizon, first, most=most, per_horizon=per_horizon) if first else []

    def default_test_dates(self, most: int = 3) -> list[datetime]:
        """Where to judge when the dataset does not say: the last closed windows, a horizon apart, that leave history."""
        horizon = self.tables.dataset.time.horizon
        dates = [self.tables.observed_until - horizon * step for step in range(most, 0, -1)]
        return [date for date in dates if self.training_dates(date, 1)]

    def first_event(self, as_of: datetime) -> datetime | None:
        """The earliest order known at ``as_of`` (without orders: response), None before any.

        Other acts, such as joins of a community, may reach back to years of which no label can tell.
        """
        table, clock = ("orders", "ordered_at") if self.has_churn else ("share_responses", "responded_at")
        rows = take_snapshot(self.tables, as_of)[table]
        first: datetime | None = self.tables.engine.to_arrow(rows.aggregate(first=rows[clock].min()))["first"][0].as_py()
        return first

    @property
    def has_influence(self) -> bool:
        """Whether any source tells who moved whom, so that KOC scores make sense."""
        tables = self.tables
        return (
            (tables.has("ties") and tables.has("orders", "item_id"))
            or tables.has("share_responses")
            or (tables.has("group_buy_members") and tables.has("group_buys"))
            or tables.has("memberships", "inviter_id")
            or tables.has("orders", "referrer_id")
        )

    @property
    def has_churn(self) -> bool:
        """Whether orders are there, so that churn can be learned."""
        return self.tables.has("orders")
