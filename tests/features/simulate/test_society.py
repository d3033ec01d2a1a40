"""What people do together: each planted behaviour can be measured in the tables that a shop would see."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.dataset import Severity, read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.simulate.membership import LEVEL_POINTS, LEVELS
from features.simulate.truth_tables import read_truth
from tests.features.simulate.planted import Planted

LOCAL = pd.Timedelta(hours=8)


def test_validation_finds_nothing_but_users_who_never_act(planted_file: Path) -> None:
    tables, report = open_tables(read_dataset(planted_file), DuckDB(threads=1))
    found = [(one.table, one.severity) for one in report.findings]
    assert set(found) <= {("users", Severity.WARN)}
    assert len(tables.given) == 15


def test_truth_is_read_by_name(planted_file: Path) -> None:
    truth = read_truth(planted_file)
    assert set(truth) == {"users", "ties", "orders", "communities"}
    assert read_truth(planted_file.parent)["users"].equals(truth["users"])


def test_cascades_travel_several_levels_and_end_in_purchases(planted: Planted) -> None:
    shares = planted["shares"].set_index("share_id")
    invited = shares[(shares.target == "membership") & shares.item_id.notna()]
    depth, parent = pd.Series(0, index=invited.index), invited.parent_share_id
    while parent.notna().any():
        depth += parent.notna()
        parent = parent.map(shares.parent_share_id)
    assert depth.max() >= 4
    assert 0.2 < (depth == 1).sum() / (depth == 0).sum() < 0.8
    answers = planted["share_responses"]
    joined = answers[answers.share_id.isin(invited.index) & (answers.action == "join")]
    # Who passes on had accepted the parent before, and accepts once per campaign.
    passed = invited.dropna(subset="parent_share_id").reset_index()
    through = passed.merge(joined, left_on=["parent_share_id", "sharer_id"], right_on=["share_id", "responder_id"])
    assert len(through) == len(passed)
    assert (through.shared_at > through.responded_at).all()
    assert not joined.merge(invited, left_on="share_id", right_index=True).duplicated(["responder_id", "item_id_x"]).any()
    bought = answers[answers.share_id.isin(invited.index) & (answers.action == "buy")]
    assert 0.03 < len(bought) / len(joined) < 0.3


def test_the_invitation_of_a_newcomer_hangs_on_the_one_that_brought_the_inviter(planted: Planted) -> None:
    came = planted["share_responses"].query("action == 'register'")
    registered = planted["users"].set_index("user_id").registered_at
    assert (came.responded_at == came.responder_id.map(registered)).all()
    shares = planted["shares"].set_index("share_id")
    brought = came.set_index("share_id").responder_id
    parents = came.share_id.map(shares.parent_share_id).dropna()
    assert len(parents) > 20
    assert (parents.map(brought) == came.sharer_id[parents.index]).all()


def test_group_buys_fill_or_fail_within_a_day(planted: Planted, role: pd.Series) -> None:
    groups, members = planted["group_buys"], planted["group_buy_members"]
    taken = groups.group_buy_id.map(members.groupby("group_buy_id").size())
    assert (groups.succeeded == (taken == groups["size"])).all()
    assert (taken <= groups["size"]).all()
    assert 0.3 < groups.succeeded.mean() < 0.7
    assert (groups.deadline - groups.opened_at == timedelta(days=1)).all()
    last = groups.group_buy_id.map(members.groupby("group_buy_id").joined_at.max())
    assert (groups.closed_at == last.where(groups.succeeded, groups.deadline)).all()
    rate = groups.groupby("size").succeeded.mean()
    assert rate[2] > rate[3] > rate[5]
    # Filled groups are paid, failed ones are not.
    paid = members.merge(groups, on="group_buy_id").merge(
        planted["orders"], left_on=["user_id", "item_id", "closed_at"], right_on=["user_id", "item_id", "ordered_at"]
    )
    assert paid.succeeded.all()
    assert len(paid) == taken[groups.succeeded].sum()
    assert ((paid.discount / (paid.amount + paid.discount)) > 0.14).all()
    opened = groups.initiator_id.map(role)
    assert groups.succeeded[opened == "koc"].mean() > groups.succeeded[opened == "discount_hunter"].mean() + 0.1


def test_discounts_beyond_everybodys(planted: Planted, role: pd.Series) -> None:
    orders = planted["orders"].assign(role=lambda t: t.user_id.map(role))
    orders["off"] = orders.discount / (orders.discount + orders.amount)
    coupons = planted["rewards"].query("kind == 'coupon'").groupby("user_id").size()
    for name, off, with_coupon in (("discount_hunter", (0.28, 0.4), (0.9, 1)), ("distributor", (0.12, 0.17), (0.01, 0.08)),
                                   ("ordinary", (0.03, 0.07), (0.02, 0.06))):  # fmt: skip
        theirs = orders[orders.role == name]
        assert off[0] < theirs.off.mean() < off[1], name
        used = coupons[coupons.index.map(role) == name].sum() / len(theirs)
        assert with_coupon[0] < used < with_coupon[1], name


def test_guides_work_in_business_hours_for_customers_of_theirs(planted: Planted, role: pd.Series) -> None:
    shares = planted["shares"]
    local = shares.shared_at + LOCAL
    guides = shares.sharer_id.map(role) == "staff_guide"
    working = local.dt.hour.between(9, 17) & (local.dt.weekday < 6)
    assert working[guides].mean() > 0.9
    assert working[~guides].mean() < 0.6
    owner = planted["attributes"].query("name == 'owner'").set_index("user_id").value
    assert (owner.map(role) == "staff_guide").all()
    assert (
        planted["share_responses"]
        .query("action == 'click'")
        .groupby("sharer_id")
        .responder_id.nunique()[role.index[role == "staff_guide"].intersection(shares.sharer_id[guides])]
        .mean()
        > 10
    )


def test_kols_make_content_and_kocs_move_people(planted: Planted, role: pd.Series) -> None:
    posts = planted["engagements"].query("kind == 'post'").groupby("user_id").size().reindex(role.index, fill_value=0)
    followers = planted["ties"].groupby("influencer_id").size().reindex(role.index, fill_value=0)
    moved = planted["truth/users"].set_index("user_id").moved_orders
    by_role = pd.DataFrame({"posts": posts, "followers": followers, "moved": moved}).groupby(role).mean()
    assert by_role.posts["kol"] > 5 * by_role.posts["koc"] > 2 * by_role.posts["ordinary"]
    assert by_role.followers["kol"] > 2 * by_role.followers["koc"]
    assert by_role.moved["koc"] > 1.5 * by_role.moved["kol"]


def test_event_born_groups_die_sooner_and_strangers_leave_sooner(planted: Planted) -> None:
    groups = planted["communities"].merge(planted["truth/communities"], on="community_id")
    born = groups[groups.created_at < groups.created_at.max() - timedelta(days=90)]
    dead = (born.died_at - born.created_at) < timedelta(days=90)
    assert dead[born.origin == "event"].mean() > dead[born.origin == "relation"].mean() + 0.2
    members = planted["memberships"].merge(born, on="community_id")
    ties = planted["ties"]
    left = (members.left_at - members.joined_at) < timedelta(days=30)
    relation = members[members.origin == "relation"]
    assert relation.inviter_id.notna().mean() > 0.6
    pairs = set(zip(ties.user_id, ties.influencer_id, strict=True))
    invited = relation.dropna(subset="inviter_id")
    assert set(zip(invited.user_id, invited.inviter_id, strict=True)) <= pairs
    assert left[members.origin == "event"].mean() > left[members.origin == "relation"].mean() + 0.1


def test_noisy_groups_talk_in_bursts_silent_ones_hardly_and_some_are_leaderless(planted: Planted) -> None:
    groups = planted["truth/communities"].set_index("community_id")
    members = planted["memberships"].groupby("community_id").size()
    talk = planted["engagements"].query("kind == 'message'")
    each = (talk.groupby("community_id").size() / members).fillna(0)
    noisy, silent = (groups[kind] == "yes" for kind in ("noisy", "silent"))
    plain = ~noisy & ~silent
    assert each[noisy].mean() > 4 * each[plain].mean() > 20 * each[silent].mean()
    packets = planted["engagements"].query("kind == 'red_packet'")
    assert set(packets.community_id) <= set(groups.index[noisy])
    assert 0.1 < groups.leader_id.isna().mean() < 0.35
    owners = planted["memberships"].query("role == 'owner'").set_index("community_id").user_id
    assert (owners == groups.leader_id[owners.index]).all()


def test_levels_follow_points_and_rewards_follow_acts(planted: Planted) -> None:
    points = planted["rewards"].query("kind == 'points'")
    assert set(points.source) == {"spending", "check_in", "sharing", "posting"}
    levels = planted["attributes"].query("name == 'level'")
    last = levels.sort_values("valid_from").groupby("user_id").value.last()
    living = planted["truth/users"].set_index("user_id").churned_at.isna()[last.index]
    total = points.groupby("user_id").amount.sum().reindex(last.index, fill_value=0)
    reached = np.searchsorted(LEVEL_POINTS, total, side="right") - 1
    level = last.map(LEVELS.index)
    assert (level <= reached).all()
    # Points granted after someone left raise nobody.
    assert (level == reached)[living].all()
    in_time = levels.sort_values(["user_id", "valid_from"]).groupby("user_id").value
    assert in_time.apply(lambda values: values.is_monotonic_increasing).all()
    facts = planted["attributes"].groupby("name").value.unique()
    assert set(facts["tier"]) == {"normal", "senior", "premium"}
    assert set(facts["consent_sms"]) == set(facts["consent_wechat"]) == set(facts["consent_app"]) == {"yes", "no"}
    assert set(facts["distributor_grant"]) == {"yes"}
    assert len(facts["region"]) == 12


def test_outreach_moves_persuadables_only(planted: Planted) -> None:
    contacts = planted["outreach"].dropna(subset="outcome")
    kind = contacts.user_id.map(planted["truth/users"].set_index("user_id").outreach_answer)
    shared = (contacts.outcome == "shared").groupby([kind, contacts.arm]).mean().unstack()
    uplift = shared.contacted - shared.holdout
    assert uplift["persuadable"] > 0.3
    assert abs(uplift["sure_thing"]) < 0.15
    assert abs(uplift["lost_cause"]) < 0.03
    assert uplift["do_not_disturb"] < 0
    assert shared.holdout["sure_thing"] > 0.2
    assert (contacts.arm == "holdout").mean() == pytest.approx(0.2, abs=0.03)
    # Who is held out is chance: the arms are alike in who they are.
    assert abs((kind == "persuadable").groupby(contacts.arm).mean().diff().iloc[-1]) < 0.04
    made = planted["shares"][["sharer_id", "shared_at"]].apply(tuple, axis=1)
    said = contacts[contacts.outcome == "shared"][["user_id", "outcome_at"]].apply(tuple, axis=1)
    assert set(said) <= set(made)
