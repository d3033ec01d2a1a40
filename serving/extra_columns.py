"""Columns of a batch that no model is trained for, such as roles and abuse: `EXTRA_COLUMNS` lists their makers."""

import pyarrow as pa
import pyarrow.compute as pc

from features.snapshot import Snapshot
from serving.abilities import abilities
from serving.extra_contract import ExtraColumns
from serving.membership_columns import clusters, coverage, own_community, standing, sub_scores, teams
from serving.standing_columns import abuse, roles
from serving.value_columns import VALUE_COLUMNS
from training.frame import Frame
from training.roomy import column_laid_out

EXTRA_COLUMNS: tuple[ExtraColumns, ...] = (
    roles,
    abuse,
    sub_scores,
    standing,
    coverage,
    teams,
    own_community,
    clusters,
    abilities,
    *VALUE_COLUMNS,
)


def extra_columns(
    snapshot: Snapshot, frame: Frame, makers: tuple[ExtraColumns, ...] | None = None
) -> dict[str, pa.ChunkedArray]:
    """Column -> its values for each user of the frame, in its order; of all makers whose tables are there."""
    users = pa.array(frame.users, pa.string())
    found: dict[str, pa.ChunkedArray] = {}
    for maker in EXTRA_COLUMNS if makers is None else makers:
        if maker.available(snapshot):
            made = maker.build(snapshot, frame)
            place = pc.index_in(users, value_set=made["user_id"].combine_chunks())
            found |= {name: column_laid_out(made[name].take(place)) for name in maker.columns}
    return found
