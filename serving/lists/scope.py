"""Which rows a key sees."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serving.access.principal import Principal
from serving.store.batch import Batch

Mask = npt.NDArray[np.bool_]


def seen(batch: Batch, principal: Principal) -> Mask:
    """(rows,) whom ``principal`` sees; a column or value that the batch does not have shows nobody."""
    mask = np.ones(len(batch), dtype=bool)
    for column, values in principal.row_scope.items():
        if column not in batch.columns:
            return np.zeros(len(batch), dtype=bool)
        known = [value for value in values if value in batch.columns[column].values]
        mask &= batch.mask({column: known}) if known else np.zeros(len(batch), dtype=bool)
    return mask


def seen_in(table: pa.Table, principal: Principal) -> Mask:
    """(rows,) of ``table``, which has columns of a batch, as `seen`."""
    mask = np.ones(len(table), dtype=bool)
    for column, values in principal.row_scope.items():
        if column not in table.column_names:
            return np.zeros(len(table), dtype=bool)
        inside = pc.is_in(table[column].cast(pa.string()), value_set=pa.array(values, pa.string()))
        mask &= inside.to_numpy(zero_copy_only=False) if isinstance(inside, pa.Array) else inside.to_numpy()
    return mask
