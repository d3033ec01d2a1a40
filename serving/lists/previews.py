"""The best people for some filters, at once and without reserving anybody: bytes straight from the batch."""

import threading
import time
from datetime import UTC, datetime

import numpy as np
import sqlalchemy as sa

from serving.access.principal import Principal
from serving.lists.scope import known_scope
from serving.lists.selection import Rows
from serving.outreach.suppressions import blocked
from serving.state.database import Database
from serving.state.tables import suppressions
from serving.state.turns import Turns
from serving.store.batch import Batch
from serving.store.filters import Filters, channel_of

LOOK_SECONDS = 1.0
"""Between two looks at whether suppressions have changed."""

OLDEST_SECONDS = 2.0
"""What is known may be so old while one request looks; then all wait for the database, or tell that it does not answer."""

STALE_SECONDS = 60.0
"""After which they are read again even so, since some begin and end by themselves."""

NOBODY: Rows = np.empty(0, dtype=np.int64)


class Previews:
    """Who is best by the scores alone, without people who may not be contacted."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str | None], Rows] = {}
        self._token: tuple[object, ...] = ()
        self._turns = Turns(LOOK_SECONDS, OLDEST_SECONDS, time.monotonic)
        self._read = -np.inf

    def best(
        self,
        principal: Principal,
        batch: Batch,
        filters: Filters,
        size: int,
        by: str = "koc_score",
        out: Rows | None = None,
    ) -> Rows:
        """(up to size,) rows of ``batch``, best first, whom the principal sees and nothing stands against.

        out: what `stopped_lately` told; by default the database may be asked.

        Raises:
            ScoresError: an unknown column or value.
        """
        within = known_scope(principal.row_scope, batch)
        batch.require(filters, within)
        if within is None:
            return NOBODY
        out = self._stopped(batch, channel_of(filters)) if out is None else out
        asked = size
        while True:
            rows = batch.select(filters, asked, by, within=within)
            kept = rows[~np.isin(rows, out)] if len(out) else rows
            if len(kept) >= size or len(rows) < asked:
                return kept[:size]
            asked += 2 * (size - len(kept)) + len(rows) // 2

    def stopped_lately(self, batch: Batch, filters: Filters) -> Rows | None:
        """Rows of people with an entry against contact; None where the database would have to be asked, for callers that
        must not wait.
        """
        return None if self._turns.mine() else self._rows.get((batch.manifest.batch, channel_of(filters)))

    def _stopped(self, batch: Batch, channel: str | None) -> Rows:
        """Rows of people with an entry against contact."""
        with self._lock:
            if self._turns.due:
                now = time.monotonic()
                counted = sa.select(
                    sa.func.max(suppressions.c.suppression), sa.func.count(), sa.func.count(suppressions.c.lifted_at)
                )
                with self.database.read() as connection:
                    token = tuple(connection.execute(counted).one())
                self._turns.looked = now
                if token != self._token or now - self._read >= STALE_SECONDS:
                    self._rows, self._token, self._read = {}, token, now
            key = (batch.manifest.batch, channel)
            if key not in self._rows:
                with self.database.read() as connection:
                    entries = blocked(connection, None, datetime.now(UTC), channel)
                rows = batch.rows_of(entries["user_id"].to_pylist())
                self._rows[key] = rows[rows >= 0]
            return self._rows[key]
