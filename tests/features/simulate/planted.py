"""A market's tables as pandas frames."""

from pathlib import Path

import pandas as pd

Planted = dict[str, pd.DataFrame]


def read_market(folder: Path) -> Planted:
    """Every table of a market by its path without the ending, those of the truth as ``truth/...``."""
    return {str(path.relative_to(folder))[: -len(".parquet")]: pd.read_parquet(path) for path in folder.rglob("*.parquet")}
