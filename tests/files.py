"""A stranger's files written by hand, and the dataset file that maps them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from features.dataset import Dataset

ORDERS = {"user_id": "buyer", "ordered_at": "paid at", "amount": "total"}


def dataset_of(root: Path, tables: Mapping[str, Mapping[str, Any]], **settings: Any) -> Dataset:
    """A dataset of ``tables`` (as in a dataset file) under ``root``."""
    return Dataset.model_validate({"name": "shop", "root": root, "tables": tables, **settings})


def write_csv(path: Path, *lines: str, encoding: str = "utf-8") -> str:
    """Write lines to a file; its name, for ``source``."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return path.name
