"""Whether the survival of communities is foretold, and whether strangers leave them, over five simulated markets."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from features.blocks.acquaintances import acquaintances_at_join
from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.groups.survival import AHEAD, GRACE, acts_in_communities, survival_of
from features.intake.open_tables import open_tables
from features.prepare import tie_pairs
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.snapshot import take_snapshot
from features.tables import Tables

SEEDS = range(5)
USERS = 6_000


def fates(tables: Tables) -> pd.DataFrame:
    """Communities alive 120 days before the end: what was foretold then, and whether it came so."""
    end = take_snapshot(tables, tables.observed_until)
    then = take_snapshot(tables, tables.observed_until - timedelta(days=AHEAD + GRACE))
    known = tables.engine.to_arrow(then["communities"]).to_pandas().sort_values("community_id")
    ids = pa.array(known.community_id, pa.string())
    found, acts = survival_of(then, ids, pa.array(known.origin, pa.string())), acts_in_communities(end, ids)
    assert found is not None
    assert acts is not None
    day = (tables.observed_until - pd.Timestamp("1970-01-01")) / timedelta(days=1)
    lived = acts.any_between(day - GRACE, day)
    told = {"event": known.origin.eq("event").to_numpy(), "lived": lived, "expected": found.probability}
    return pd.DataFrame(told | {"base_rate": found.base_rate})[found.alive]


def leavers(tables: Tables) -> pd.DataFrame:
    """Members of communities born in the year, a month after they joined at the latest: acquaintances, and who left."""
    end = take_snapshot(tables, tables.observed_until)
    end = end.with_tables(pairs=tie_pairs(end))
    born = end["communities"].filter(lambda t: t.created_at.notnull()).select("community_id")
    met = tables.engine.to_arrow(acquaintances_at_join(end).semi_join(born, "community_id")).to_pandas()
    met = met[met.joined_at < tables.observed_until - timedelta(days=60)]
    return pd.DataFrame({"alone": met.known.eq(0).to_numpy(), "left": ~met.present.to_numpy()})


@pytest.mark.benchmark
def test_d49_d51_d55_d20_survival_of_communities_and_strangers_who_leave(tmp_path: Path) -> None:
    groups, people = [], []
    for seed in SEEDS:
        file = simulate_market(MarketSettings(users=USERS, seed=seed), tmp_path / str(seed))
        tables, _ = open_tables(read_dataset(file), DuckDB(threads=1), blocks=ALL_BLOCKS)
        groups.append(fates(tables))
        people.append(leavers(tables))
    each = [roc_auc_score(found.lived, found.expected) for found in groups]
    whole, met = pd.concat(groups), pd.concat(people)
    auc = roc_auc_score(whole.lived, whole.expected)
    brier = ((whole.expected - whole.lived) ** 2).mean()
    base = whole.base_rate.fillna(whole.lived.mean())
    of_base = ((base - whole.lived) ** 2).mean()
    lived = whole.groupby("event").lived.agg(["mean", "count"])
    print(f"{len(whole)} communities: AUC {auc:.3f} (seeds {min(each):.3f} to {max(each):.3f}), Brier {brier:.4f} against "
          f"{of_base:.4f} of base rates, expected {whole.expected.mean():.3f}, lived {whole.lived.mean():.3f}")  # fmt: skip
    print(lived.to_string())
    bins = pd.qcut(whole.expected, 4, duplicates="drop")
    print(whole.groupby(bins, observed=True)[["expected", "lived"]].mean().to_string())
    exits = roc_auc_score(met.left, met.alone)
    print(f"{len(met)} members: strangers left {met.left[met.alone].mean():.3f}, others {met.left[~met.alone].mean():.3f}, "
          f"AUC of knowing nobody {exits:.3f}")  # fmt: skip
    assert auc >= 0.75
    # The rate by origin says as much of how many will live; which of them only the model tells.
    assert brier < of_base + 0.005
    assert brier < whole.lived.mean() * (1 - whole.lived.mean())
    assert abs(whole.expected.mean() - whole.lived.mean()) < 0.05
    assert lived["mean"][True] < lived["mean"][False]
    assert np.isfinite(whole.expected).all()
    assert exits > 0.55
