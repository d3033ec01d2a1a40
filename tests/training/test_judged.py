from datetime import datetime

import numpy as np

from tests.worlds import day, world
from training.intervals import Evaluation
from training.judged import JUDGED, SERVED, about_users, hashed, judged_table
from training.timeline import Timeline


def test_users_come_with_the_region_and_tier_that_held_on_the_date() -> None:
    orders = [{"user_id": user, "ordered_at": day(at)} for user, at in (("a", 1), ("b", 2), ("c", 25))]
    attributes = [
        {"user_id": user, "name": name, "value": value, "valid_from": day(at)}
        for user, name, value, at in (
            ("a", "region", "Wuhan", 1),
            ("a", "region", "Suzhou", 10),
            ("a", "region", "Beijing", 40),
            ("b", "tier", "gold", 3),
        )
    ]
    timeline = Timeline(world(orders=orders, attributes=attributes, until=day(50)))
    found = about_users(timeline.snapshot(day(30)), timeline.frame(day(30)))
    assert {name: values.tolist() for name, values in found.items()} == {
        "region": ["Suzhou", "unknown", "unknown"],
        "tier": ["unknown", "gold", "unknown"],
        # Horizon 10 days: c first acted within it.
        "new": ["no", "no", "yes"],
        "suppressed": ["", "", ""],
    }


def test_a_dataset_without_attributes_has_unknown_slices() -> None:
    timeline = Timeline(world(orders=[{"user_id": "a", "ordered_at": day(1)}], until=day(50)))
    found = about_users(timeline.snapshot(day(30)), timeline.frame(day(30)))
    assert {name: values.tolist() for name, values in found.items()} == {
        "region": ["unknown"], "tier": ["unknown"], "new": ["no"], "suppressed": [""],
    }  # fmt: skip


def test_the_table_names_nobody_and_pairs_by_person() -> None:
    about = {name: np.array(["x", "y"], object) for name in ("region", "tier", "new", "suppressed")}
    date = datetime(2024, 5, 1)
    score = {SERVED: np.array([0.5, -1.0]), "degree": np.array([1.0, 2.0])}
    judged = Evaluation("shop", date, np.array(["u1", "u2"], object), np.array([2, 0]), score, about)
    table = judged_table({"koc": [judged], "churn": []})
    assert table.schema == JUDGED
    assert table.select(["task", "as_of", "label", "score", "region"]).to_pylist() == [
        {"task": "koc", "as_of": date, "label": 2.0, "score": 0.5, "region": "x"},
        {"task": "koc", "as_of": date, "label": 0.0, "score": -1.0, "region": "y"},
    ]
    assert table["person"].to_pylist() == [hashed("u1"), hashed("u2")]
    assert "u1" not in str(table["person"])
    assert len(judged_table({"koc": [], "churn": []})) == 0
