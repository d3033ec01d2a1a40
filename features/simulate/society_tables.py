"""The mapped tables of groups, group buys, engagements, members' facts and outreach: what a shop would see of them."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.simulate.accounts import Accounts
from features.simulate.contract_tables import item_ids, user_ids
from features.simulate.engagement import KINDS as ENGAGEMENTS
from features.simulate.engagement import Engagements
from features.simulate.events import NOBODY
from features.simulate.export import Build, Writer, ids, names, numbers
from features.simulate.group_buys import GroupBuys
from features.simulate.groups import KINDS, ORIGINS, SPACES, Groups
from features.simulate.identities import Identities
from features.simulate.joining import Memberships
from features.simulate.lifetime import NEVER
from features.simulate.membership import LEVELS, NAMES, REGIONS, REWARD_KINDS, SOURCES, TIERS, Attributes, Rewards
from features.simulate.outreach import INCENTIVES, OUTREACH_CHANNELS, WAIT_DAYS, Outreach
from features.simulate.rows import take
from features.simulate.season import DAY
from features.simulate.truth import Truth

Ints = NDArray[np.int64]


def write_communities(writer: Writer, accounts: Accounts, groups: Groups, memberships: Memberships) -> None:
    """``communities`` (undated if they existed at the start) and ``memberships`` by user id."""
    count = groups.size
    communities = {
        "community_id": ids("c", np.arange(count), count),
        "kind": names(KINDS, groups.kind),
        "origin": names(ORIGINS, groups.origin),
        "space": names(SPACES, groups.kind),
        "created_at": writer.times(groups.created),
    }
    writer.write("communities", count, communities)
    memberships = take(memberships, np.lexsort((memberships.joined, accounts.number[memberships.user])))
    columns = {
        "community_id": ids("c", memberships.community, count),
        "user_id": user_ids(accounts, memberships.user),
        "role": names(("member", "owner"), memberships.owner.astype(np.int64)),
        "inviter_id": user_ids(accounts, memberships.inviter),
        "joined_at": writer.times(memberships.joined),
        "left_at": writer.times(memberships.left),
    }
    writer.write("memberships", memberships.user.size, columns)


def write_group_buys(writer: Writer, truth: Truth, accounts: Accounts, found: GroupBuys) -> None:
    """``group_buys`` and ``group_buy_members`` (the opener is the first of them), each by time."""
    k = found.initiator.size
    groups = {
        "group_buy_id": ids("g", np.arange(k), k),
        "initiator_id": user_ids(accounts, found.initiator),
        "item_id": item_ids(truth, found.item),
        "size": numbers(found.size),
        "deadline": writer.times(found.deadline),
        "succeeded": lambda part: pa.array(found.succeeded[part]),
        "closed_at": writer.times(found.closed),
        "opened_at": writer.times(found.opened),
    }
    writer.write("group_buys", k, groups)
    order = np.lexsort((accounts.number[found.member], found.joined))
    members = {
        "group_buy_id": ids("g", found.member_group[order], k),
        "user_id": user_ids(accounts, found.member[order]),
        "joined_at": writer.times(found.joined[order]),
    }
    writer.write("group_buy_members", order.size, members)


def write_engagements(writer: Writer, truth: Truth, accounts: Accounts, groups: Groups, talk: Engagements) -> None:
    """Engagements by time; a post or review names its item, a message or meeting its group."""
    columns = {
        "user_id": user_ids(accounts, talk.user),
        "kind": names(ENGAGEMENTS, talk.kind),
        "item_id": item_ids(truth, talk.item),
        "community_id": ids("c", talk.community, groups.size),
        "happened_at": writer.times(talk.moment),
    }
    writer.write("engagements", talk.user.size, columns)


def write_rewards(writer: Writer, accounts: Accounts, rewards: Rewards) -> None:
    """Grants by time."""
    columns = {
        "user_id": user_ids(accounts, rewards.user),
        "kind": names(REWARD_KINDS, rewards.kind),
        "amount": numbers(rewards.amount),
        "source": names(SOURCES, rewards.source),
        "granted_at": writer.times(rewards.moment),
    }
    writer.write("rewards", rewards.user.size, columns)


def write_attributes(writer: Writer, accounts: Accounts, facts: Attributes) -> None:
    """Dated facts by user id, name and time; the value of ``owner`` is the guide's id, consents are yes or no."""
    facts = take(facts, np.lexsort((facts.moment, facts.name, accounts.number[facts.user])))
    columns = {
        "user_id": user_ids(accounts, facts.user),
        "name": names(NAMES, facts.name),
        "value": _values(accounts, facts),
        "valid_from": writer.times(facts.moment),
    }
    writer.write("attributes", facts.user.size, columns)


def write_identities(writer: Writer, accounts: Accounts, found: Identities) -> None:
    """Phone hashes by user id."""
    columns = {
        "user_id": user_ids(accounts, found.user),
        "kind": names(("phone_hash",), np.zeros(found.user.size, dtype=np.int64)),
        "value": ids("p", found.value, 1 << 32),
        "valid_from": writer.times(found.moment),
    }
    writer.write("identities", found.user.size, columns)


def write_outreach(writer: Writer, accounts: Accounts, owner: Ints, found: Outreach, end: int) -> None:
    """Contacts and holdouts by time. The outcome is known after two weeks: whether the user shared, whatever the arm."""
    shared = found.shared != NOBODY
    known = np.where(shared, found.shared, found.moment + WAIT_DAYS * DAY)
    known = np.where(known < end, known, NEVER)
    outcome = names(("none", "shared"), shared.astype(np.int64))
    columns = {
        "campaign_id": ids("k", found.campaign, 1_000),
        "user_id": user_ids(accounts, found.user),
        "arm": names(("holdout", "contacted"), found.contacted.astype(np.int64)),
        "channel": names(OUTREACH_CHANNELS, found.channel),
        "incentive": names(INCENTIVES, found.incentive),
        "cost": numbers(found.cost),
        "staff": user_ids(accounts, owner[found.user]),
        "outcome": lambda part: pa.compute.if_else(
            pa.array(known[part] != NEVER), outcome(part), pa.scalar(None, pa.string())
        ),
        "outcome_at": writer.times(known),
        "contacted_at": writer.times(found.moment),
    }
    writer.write("outreach", found.user.size, columns)


def _values(accounts: Accounts, facts: Attributes) -> Build:
    """The label of each fact, which depends on its name."""
    yes_no = ("no", "yes")
    labels = [REGIONS, LEVELS, TIERS, (), yes_no, yes_no, yes_no, yes_no]
    first = np.cumsum([0, *(len(known) for known in labels)])
    known = names([label for group in labels for label in group], np.where(
        facts.name == NAMES.index("owner"), 0, first[facts.name] + facts.value
    ))  # fmt: skip
    owner = facts.name == NAMES.index("owner")
    guides = user_ids(accounts, np.where(owner, facts.value, NOBODY))
    return lambda part: pa.compute.coalesce(guides(part), known(part))
