"""Planted abuse: each act looks honest, only together the acts give themselves away; injection changes nobody else."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.simulate.truth_tables import read_truth
from tests.features.simulate.planted import Planted, read_market


@pytest.fixture(scope="module")
def helps(planted: Planted, role: pd.Series) -> pd.DataFrame:
    """Helps with bargains, with roles, clusters and seconds since the share."""
    found = planted["share_responses"].query("action == 'help'").merge(planted["shares"], on="share_id", suffixes=("", "_s"))
    found = found[found.target == "bargain"]
    cluster = planted["truth/users"].set_index("user_id").cluster
    return found.assign(
        sharer_role=found.sharer_id.map(role),
        helper_role=found.responder_id.map(role),
        sharer_cluster=found.sharer_id.map(cluster),
        helper_cluster=found.responder_id.map(cluster),
        delay=(found.responded_at - found.shared_at).dt.total_seconds(),
    )


def test_rings_help_each_other_in_turn(helps: pd.DataFrame) -> None:
    within = helps[(helps.sharer_role == "ring") & (helps.sharer_cluster == helps.helper_cluster)]
    pairs = set(zip(within.sharer_id, within.responder_id, strict=True))
    assert np.mean([(other, one) in pairs for one, other in pairs]) > 0.9
    honest = helps[~helps.sharer_role.isin(["ring", "sock_puppet"]) & ~helps.helper_role.isin(["bot"])]
    honest_pairs = set(zip(honest.sharer_id, honest.responder_id, strict=True))
    assert np.mean([(other, one) in honest_pairs for one, other in honest_pairs]) < 0.2


def test_one_help_of_a_ring_or_a_puppet_looks_like_an_honest_one(helps: pd.DataFrame) -> None:
    honest = helps[~helps.sharer_role.isin(["ring", "sock_puppet"]) & (helps.helper_role != "bot")].delay
    for role in ("ring", "sock_puppet"):
        theirs = helps[(helps.sharer_role == role) & (helps.sharer_cluster == helps.helper_cluster)].delay
        assert len(theirs) > 100
        assert theirs.median() == pytest.approx(honest.median(), rel=0.25)
    # Everybody keeps the rules of the campaign: once per bargain and three times a day.
    assert not helps.duplicated(["share_id", "responder_id"]).any()
    honest_helps = helps[helps.helper_role == "ordinary"]
    day = (honest_helps.responded_at + pd.Timedelta(hours=8)).dt.date
    assert honest_helps.groupby(["responder_id", day]).size().max() <= 3


def test_naive_counts_are_fooled(helps: pd.DataFrame, role: pd.Series) -> None:
    drawn = helps.groupby("sharer_id").size().sort_values(ascending=False)
    top = role[drawn.index[: len(role) // 200]]
    assert top.isin(["ring", "sock_puppet"]).mean() > 0.5


def test_bots_are_regular_and_help_everybody(helps: pd.DataFrame) -> None:
    bots = helps[helps.helper_role == "bot"].sort_values("responded_at")
    people = helps[helps.helper_role == "ordinary"].sort_values("responded_at")

    def spread(rows: pd.DataFrame) -> float:
        """Median over helpers of the share of gaps that are whole multiples of the smallest, within a minute."""
        found = []
        for _, one in rows.groupby("responder_id"):
            gaps = one.responded_at.diff().dt.total_seconds().dropna()
            if len(gaps) >= 8:
                step = gaps.quantile(0.05)
                found.append(((gaps / step - (gaps / step).round()).abs() * step < 60).mean())
        return float(np.median(found)) if found else 0.0

    assert spread(bots) > 0.9
    assert spread(people) < 0.3
    assert bots.groupby("responder_id").sharer_id.nunique().median() > 30


def test_puppets_register_in_a_burst_and_serve_one_person_only(planted: Planted, helps: pd.DataFrame) -> None:
    truth = planted["truth/users"].merge(planted["users"], on="user_id")
    puppets = truth[(truth.role == "sock_puppet") & (truth.person_id != truth.user_id)]
    registered = puppets.groupby("person_id").registered_at
    assert (registered.quantile(0.9) - registered.min()).max() < pd.Timedelta(days=10)
    assert (puppets.channel == "invite").all()
    invites = planted["ties"].query("kind == 'invite'").set_index("user_id").influencer_id
    assert (puppets.set_index("user_id").person_id == invites[puppets.user_id]).all()
    theirs = helps[helps.responder_id.isin(puppets.user_id)]
    assert (theirs.sharer_cluster == theirs.helper_cluster).all()
    # A few are known by a phone number that several accounts give, most only by what they do.
    phones = planted["identities"]
    shared = phones[phones.duplicated("value", keep=False)].user_id
    assert set(shared) <= set(truth[truth.role == "sock_puppet"].user_id)
    assert 0.05 < puppets.user_id.isin(shared).mean() < 0.4


def test_injected_abuse_leaves_everybody_else_as_they_are(tmp_path: Path) -> None:
    settings = MarketSettings(users=2_000, seed=5)
    injected = settings.model_copy(update={"puppet_accounts": 300, "rings": 8})
    before = read_market(simulate_market(settings, tmp_path / "before").parent)
    after = read_market(simulate_market(injected, tmp_path / "after").parent)
    truth = read_truth(tmp_path / "after" / "dataset.toml")["users"].set_index("user_id")
    was = before["truth/users"].set_index("user_id").role
    new = truth.index.difference(was.index)
    assert len(new) == 300
    changed = was.index[was != truth.role[was.index]]
    assert len(changed) == 8 * 5 + 1
    assert truth.role[changed].isin(["ring", "sock_puppet"]).all()
    abusers = set(new) | set(changed)
    for table, who, columns in (
        ("orders", "user_id", ["user_id", "item_id", "ordered_at"]),
        ("share_responses", "sharer_id", ["sharer_id", "responder_id", "item_id", "action", "responded_at"]),
        ("group_buy_members", "user_id", ["user_id", "joined_at"]),
    ):
        old, now = (market[table].sort_values(columns, ignore_index=True)[columns] for market in (before, after))
        old, now = (rows[~rows[who].isin(abusers)].reset_index(drop=True) for rows in (old, now))
        pd.testing.assert_frame_equal(old, now)


def test_six_hundred_accounts_and_forty_rings_fit_into_a_market(tmp_path: Path) -> None:
    path = simulate_market(MarketSettings(users=20_000, days=200, puppet_accounts=600, rings=40), tmp_path)
    truth = read_truth(path)["users"]
    assert truth[truth.role == "sock_puppet"].groupby("person_id").size().max() == 601
    assert truth[truth.role == "ring"].cluster.nunique() == 16 + 40
