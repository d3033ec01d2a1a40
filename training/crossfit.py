"""Groups of people: of an ensemble each member has never seen one, scores it unseen, and all together score new rows."""

import zlib

import numpy as np
import numpy.typing as npt

from features.errors import TrainingError

Groups = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]


def people_in_groups(users: npt.NDArray[np.object_], positive: Rows, groups: int) -> Groups:
    """users: (N,) ids, repeated over dates; positive: (N,) rows that models must not lack. (N,) group of each row.

    All rows of a person are in one group. People are dealt in an order that a checksum of their id gives, those with a
    positive row first, so that every group has its share of them.

    Raises:
        TrainingError: fewer than two people, or fewer than two of them with a positive row.
    """
    people, person = np.unique(users.astype(str), return_inverse=True)
    ever = np.zeros(len(people), bool)
    np.logical_or.at(ever, person, positive)
    if (found := int(ever.sum())) < 2:
        raise TrainingError(
            f"{found} of {len(people):,} people have a positive label in the training rows; models are checked on people "
            "whom they have not seen, which needs two: choose a longer horizon, or later dates"
        )
    mixed = np.array([zlib.crc32(user.encode()) for user in people])
    dealt = np.empty(len(people), np.int64)
    dealt[np.lexsort((people, mixed, ~ever))] = np.arange(len(people)) % groups
    return dealt[person]
