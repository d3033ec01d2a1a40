"""Influence by category indexed a few categories at a time."""

import pyarrow as pa
import pytest

from serving.store.index import Values, index_categories
from tests.serving.batches import random_categories, random_users


@pytest.mark.parametrize("at_once", [1, 60, 150])
def test_categories_indexed_in_parts_are_the_same(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    users = random_users(200)
    influence = random_categories(users).sort_by([("category", "ascending"), ("user_id", "ascending")])
    # Of somebody who is no user nothing is kept but what they moved.
    ids = [f"stranger {place}" if place % 9 == 0 else user for place, user in enumerate(influence["user_id"].to_pylist())]
    influence = influence.set_column(0, "user_id", pa.array(ids))
    whole = index_categories(users, influence.to_batches())
    monkeypatch.setattr("serving.store.index.ROWS_AT_ONCE", at_once)
    parts = index_categories(users, influence.to_batches(max_chunksize=7))
    assert plain(parts) == plain(whole)
    assert plain(whole)["category:names"] == ["beauty", "snacks", "toys"]


def plain(values: Values) -> dict[str, list[object]]:
    return {name: list(found) for name, found in values.items()}
