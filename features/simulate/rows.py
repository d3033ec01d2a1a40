"""Records of equally long columns: rows chosen from one, several put one after another."""

from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Record = TypeVar("Record")


def take(record: Record, index: NDArray[Any]) -> Record:
    """The rows of a dataclass of (k,) arrays that ``index`` (positions or a mask) names."""
    return type(record)(**{name: column[index] for name, column in _columns(record).items()})


def join(*records: Record) -> Record:
    """All rows of several records of one type, in the order given."""
    parts = [_columns(record) for record in records]
    return type(records[0])(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _columns(record: Any) -> dict[str, NDArray[Any]]:
    return {field.name: getattr(record, field.name) for field in fields(record)}
