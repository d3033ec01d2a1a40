"""The columns that a user table has where a dataset maps everything."""

from collections.abc import Mapping

from features.blocks.all import ALL_BLOCKS
from features.blocks.neighbours import neighbour_features


def all_columns(windows: Mapping[str, object]) -> list[str]:
    """Every column of the whole dictionary."""
    features = [feature for block in ALL_BLOCKS for feature in block.features]
    return [column for f in (*features, *neighbour_features(features)) for column in f.columns(windows)]
