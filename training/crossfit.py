"""Models of which each has never seen one group of people: each scores its own group unseen, their mean scores new rows."""

import zlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from features.errors import TrainingError
from training.matrix import Floats
from training.parallel import fit_each

Groups = npt.NDArray[np.int64]
Rows = npt.NDArray[np.bool_]
Model = TypeVar("Model")


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


def cross_fit(
    fit: Callable[[int, Rows], Model],
    score: Callable[[Model, Rows], npt.NDArray[np.floating]],
    groups: Groups,
    members: int,
    threads: int,
) -> tuple[list[Model], Floats]:
    """One model for each of ``members`` groups, fitted without it, and (N,) what each says of its own group.

    fit: (group, rows to learn from) -> model; score: (model, rows) -> values (rows.sum(),); groups: (N,).
    """
    models = fit_each(lambda group: fit(group, groups != group), range(members), threads)
    unseen = np.empty(len(groups))
    for group, model in enumerate(models):
        unseen[groups == group] = score(model, groups == group)
    return models, unseen
