import json
from pathlib import Path

import pandas as pd

from tests.command import koc
from tests.worlds import day


def shop(folder: Path) -> Path:
    pd.DataFrame({"user_id": ["a", "b", "a"], "ordered_at": [day(1), day(2), day(60)]}).to_csv(folder / "orders.csv")
    facts = {"user_id": ["a", "b"], "name": ["tier"] * 2, "value": ["premium", "normal"], "valid_from": [day(1)] * 2}
    pd.DataFrame(facts).to_csv(folder / "attributes.csv")
    file = folder / "dataset.toml"
    file.write_text(
        'name = "shop"\n[time]\nhorizon = "42d"\n[tables.orders]\nsource = "orders.csv"\n'
        '[tables.attributes]\nsource = "attributes.csv"\n'
    )
    return file


def test_d29_d53_counts_by_tier_and_permission_say_that_they_are_no_effects(tmp_path: Path) -> None:
    ran = koc("slices", "--dataset", shop(tmp_path))
    assert ran.status == 0, ran.err
    assert "premium" in ran.out
    assert "Counts, not effects" in ran.err
    assert "no benchmark" in ran.err
    rows = json.loads(koc("slices", "--dataset", tmp_path / "dataset.toml", "--format", "json").out)
    told = {(row["slice"], row["value"]): (row["people"], row["stayed"]) for row in rows}
    assert told["tier", "premium"] == (1, 1)
    assert told["paid", "free"] == (1, 0)
