"""Who is about to leave each community: churn of its members, summed."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.snapshot import Snapshot
from serving.store.schemas import COMMUNITIES_SCHEMA
from training.frame import Frame
from training.hybrid import Said


def community_churn(frame: Frame, said: Said, snapshot: Snapshot) -> pa.Table:
    """One row per community with members at the date, the highest rate first, equal ones by id.

    community_id        string
    members             int64    people who joined and are not known to have left
    rated               int64    of them, those with a probability of churn: an order in the two horizons before
    expected_leavers    float64  of the rated, people expected not to order within the horizon
    leave_rate          float64  expected_leavers over rated, 0 to 1; null where nobody is rated
    """
    if said.churn is None or "memberships" not in snapshot:
        return COMMUNITIES_SCHEMA.empty_table()
    joined = snapshot["memberships"]
    present = joined.filter(joined.left_at.isnull(), joined.community_id.notnull())
    rows = snapshot.engine.to_arrow(present.group_by("community_id", "user_id").agg(joins=present.count()))
    # In the order of ids, so that sums of probabilities do not depend on the order of rows.
    rows = rows.sort_by([("community_id", "ascending"), ("user_id", "ascending")])
    rated = pa.array(frame.users[frame.churn_population], pa.string())
    place = pc.index_in(rows["user_id"].combine_chunks(), value_set=rated)
    probability = pc.take(pa.array(said.churn[frame.churn_population]), place)
    communities, code = np.unique(rows["community_id"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    count = len(communities)
    known = pc.is_valid(probability).to_numpy(zero_copy_only=False)
    of = np.bincount(code[known], minlength=count)
    leavers = np.bincount(code[known], pc.drop_null(probability).to_numpy(), minlength=count)
    rate = np.divide(leavers, of, out=np.full(count, np.nan), where=of > 0)
    table = pa.table(
        {
            "community_id": pa.array(communities, pa.string()),
            "members": np.bincount(code, minlength=count),
            "rated": of,
            "expected_leavers": leavers,
            "leave_rate": pa.array(rate, mask=np.isnan(rate)),
        },
        schema=COMMUNITIES_SCHEMA,
    )
    return table.sort_by([("leave_rate", "descending"), ("community_id", "ascending")])
