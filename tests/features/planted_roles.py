"""The roles that a simulated market planted, against those that behaviour tells."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from features.prepare import prepare
from features.role_report import confusion
from features.roles import role_scores
from features.simulate.truth_tables import read_truth
from features.snapshot import take_snapshot
from features.tables import Tables


def confusion_of(tables: Tables, market: Path) -> npt.NDArray[np.int64]:
    """Roles played and told, of all who acted."""
    told = role_scores(prepare(take_snapshot(tables, tables.observed_until)))
    played = read_truth(market)["users"].set_index("user_id")["role"]
    return confusion(played[told["user_id"].to_pylist()].tolist(), told["role"].to_pylist())
