"""Which rows a key sees."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import FilterError
from serving.access.principal import Principal, RowScope
from serving.store.batch import Batch
from serving.store.filters import CATEGORY, REACHABLE, Filters

Mask = npt.NDArray[np.bool_]


def seen(batch: Batch, principal: Principal) -> Mask:
    """(rows,) whom ``principal`` sees; a column or value that the batch does not have shows nobody.

    A row scope may name label columns, ``category`` (people with influence in it) and ``reachable`` (by consent).
    """
    mask = np.ones(len(batch), dtype=bool)
    for column, values in principal.row_scope.items():
        of = np.zeros(len(batch), dtype=bool)
        for value in values:
            try:
                of |= batch.mask({}, within={column: value})
            except FilterError:  # nobody has it by this batch
                continue
        mask &= of
    return mask


def known_scope(scope: RowScope, batch: Batch) -> Filters | None:
    """A row scope as filters of ``batch``, without values that the batch does not have; None where it shows nobody."""
    found = {column: [value for value in values if batch.has(column, value)] for column, values in scope.items()}
    return found if all(found.values()) else None


def seen_in(table: pa.Table, principal: Principal) -> Mask:
    """(rows,) of ``table``, which has columns of a batch, as `seen`; what a batch alone can tell takes out nobody."""
    mask = np.ones(len(table), dtype=bool)
    for column, values in principal.row_scope.items():
        if column in (CATEGORY, REACHABLE):
            continue
        if column not in table.column_names:
            return np.zeros(len(table), dtype=bool)
        inside = pc.is_in(table[column].cast(pa.string()), value_set=pa.array(values, pa.string()))
        mask &= np.asarray(inside.to_numpy(zero_copy_only=False) if isinstance(inside, pa.Array) else inside.to_numpy())
    return mask
