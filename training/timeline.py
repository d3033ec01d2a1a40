"""Features and labels of a dataset by date, each computed once: what training and backtests read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from features.labels import churn_population, influence_labels, require_mature, stayed
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.splits import training_dates
from features.tables import Tables
from features.user_table import build_user_table
from training.matrix import Floats, Matrix, among, to_matrix, values_of

END_OF_TIME = datetime(9999, 1, 1)
"""The truth of a date is told by all rows there are, however late they were recorded."""


@dataclass(frozen=True)
class Labels:
    """What the users of a matrix did within the horizon, in its order of users.

    ``influence``: (N,) people moved, >= 0. ``influence_value``: (N,) minor units. ``churned``: (N,) no order.
    ``churn_known``: (N,) member of the churn population (an order in the two horizons before).
    """

    influence: Floats
    influence_value: Floats
    churned: npt.NDArray[np.bool_]
    churn_known: npt.NDArray[np.bool_]


@dataclass
class Timeline:
    """Cached snapshots, matrices and labels of one dataset."""

    tables: Tables
    progress: Callable[[str], None] = lambda _: None
    _snapshots: dict[tuple[datetime, datetime], Snapshot] = field(default_factory=dict)
    _matrices: dict[datetime, Matrix] = field(default_factory=dict)

    def snapshot(self, as_of: datetime, *, people_as_of: datetime | None = None) -> Snapshot:
        """The prepared snapshot at ``as_of``; ``people_as_of`` matters where identities are mapped."""
        people = (people_as_of or as_of) if "identities" in self.tables.tables else as_of
        if (as_of, people) not in self._snapshots:
            self.progress(f"{as_of:%Y-%m-%d}: snapshot and ledger")
            self._snapshots[as_of, people] = prepare(take_snapshot(self.tables, as_of, people_as_of=people))
        return self._snapshots[as_of, people]

    def matrix(self, as_of: datetime) -> Matrix:
        """Features of all users with an act before ``as_of``."""
        if as_of not in self._matrices:
            snapshot = self.snapshot(as_of)
            table = build_user_table(snapshot, lambda block: self.progress(f"{as_of:%Y-%m-%d}: {block}"))
            self._matrices[as_of] = to_matrix(table, self.tables.engine)
            self.tables.engine.release(table.table, table.ties)
        return self._matrices[as_of]

    def labels(self, as_of: datetime, known_at: datetime | None = None) -> Labels:
        """Labels of ``matrix(as_of).users`` as they were known at ``known_at`` (default: at the end of the data).

        Raises:
            ImmatureLabelError: the window of ``as_of`` is not closed by then.
        """
        require_mature(self.tables, as_of, known_at)
        view = self.snapshot(known_at or END_OF_TIME, people_as_of=as_of)
        engine, users = self.tables.engine, self.matrix(as_of).users
        moved = values_of(influence_labels(view, as_of), engine, users, ("influence", "influence_value"))
        nobody = np.zeros(len(users), dtype=bool)
        has_orders = "orders" in view
        return Labels(
            moved["influence"],
            moved["influence_value"],
            churned=~among(users, stayed(view, as_of), engine) if has_orders else nobody,
            churn_known=among(users, churn_population(self.snapshot(as_of)), engine) if has_orders else nobody,
        )

    def training_dates(self, as_of: datetime, most: int) -> list[datetime]:
        """Dates to learn from for a model that is used at ``as_of``, latest first; see `features.splits`."""
        first = self.first_event(as_of)
        return training_dates(as_of, self.tables.dataset.time.horizon, first, most=most) if first else []

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
        rows = self.snapshot(as_of)[table]
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
