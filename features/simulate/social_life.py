"""All that people do on top of what they buy and what that moves: one step after another, each with its own stream."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.simulate.abuse import draw_abuser_ties, draw_bots, draw_puppets, draw_rings
from features.simulate.accounts import Accounts, draw_accounts
from features.simulate.acts import Acts, in_time_order, together
from features.simulate.bargains import draw_bargains
from features.simulate.campaigns import draw_campaigns, draw_registrations
from features.simulate.engagement import Engagements, draw_engagements
from features.simulate.events import NOBODY
from features.simulate.group_buys import GroupBuys, draw_group_buys
from features.simulate.groups import Groups, brought_by_guides, draw_groups
from features.simulate.identities import Identities, draw_identities
from features.simulate.joining import Memberships
from features.simulate.membership import Attributes, Rewards, draw_attributes, draw_rewards
from features.simulate.outreach import Outreach, draw_answers, draw_outreach
from features.simulate.ownership import Ownership
from features.simulate.price_cuts import cut_prices, draw_coupons
from features.simulate.promotions import draw_customers, draw_guidance, draw_promotions
from features.simulate.rows import join, take
from features.simulate.season import Season
from features.simulate.society import SocietySettings
from features.simulate.till import Receipts, ring_up
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

STEPS = (
    "groups", "roles", "campaigns", "registrations", "group_buys", "bargains", "promotions", "customers", "guidance",
    "answers", "outreach", "puppets", "rings", "bots", "friendships", "further till", "coupons", "engagements", "attributes",
    "identities", "guides",
)  # fmt: skip
"""Names of the random streams."""


@dataclass(frozen=True)
class SocialLife:
    """All acts of the market in the order of time, and what only a society has.

    ``guide``: (people,) who looks after each user; ``answer``: (people,) how each takes outreach; ``friendships``: (k,)
    user, influencer and beginning of ties between abusers.
    """

    acts: Acts
    receipts: Receipts
    accounts: Accounts
    groups: Groups
    memberships: Memberships
    group_buys: GroupBuys
    engagements: Engagements
    rewards: Rewards
    attributes: Attributes
    identities: Identities
    outreach: Outreach
    guide: Ints
    answer: Ints
    friendships: tuple[Ints, Ints, Ints]


def live_together(
    acts: Acts,
    receipts: Receipts,
    memberships: Memberships,
    inviter: Ints,
    truth: Truth,
    season: Season,
    settings: SocietySettings,
    rng: Mapping[str, np.random.Generator],
) -> SocialLife:
    """What is there (``acts``, ``receipts``, ``memberships``) stays; everything else comes on top. Abuse comes last."""
    groups, memberships = draw_groups(truth, memberships, settings, rng["groups"])
    owners = groups.leader[groups.leader != NOBODY]
    accounts = draw_accounts(truth, inviter, owners, settings, rng["numbers"], rng["roles"])
    owned = Ownership(truth.catalogue.launched.size)
    owned.add(acts.orders)

    campaigns = draw_campaigns(truth, owned, settings, rng["campaigns"])
    registrations = draw_registrations(truth, inviter, rng["registrations"])
    group_buys, joins = draw_group_buys(truth, accounts, season, owned, settings, rng["group_buys"])
    bargains = draw_bargains(truth, accounts, season, owned, settings, rng["bargains"])
    promotions = draw_promotions(acts.orders, truth, accounts, season, owned, settings, rng["promotions"])
    guide = draw_customers(truth, accounts, settings, rng["customers"])
    guidance = draw_guidance(guide, truth, owned, settings, rng["guidance"])
    answer = draw_answers(truth, accounts, rng["answers"])
    outreach, shared = draw_outreach(acts.orders, answer, truth, accounts, owned, settings, rng["outreach"])
    honest = together(campaigns, registrations, joins, bargains, promotions, guidance, shared)
    puppets = draw_puppets(truth, accounts, season, owned, rng["puppets"])
    rings = draw_rings(truth, accounts, season, owned, rng["rings"])
    # Bots help whom they find among the honest, so that they do the same whatever else is injected.
    helps = draw_bots(honest.shares, accounts, truth, rng["bots"])
    honest = replace(honest, responses=join(honest.responses, helps))

    further = together(honest, puppets, rings)
    added = ring_up(further.orders, further.shares, truth, season, rng["further till"])
    everything, place = in_time_order(together(acts, further))
    receipts = take(join(receipts, added), place)
    cut, coupon = draw_coupons(everything.orders, everything.cut, accounts, settings, rng["coupons"])
    receipts = cut_prices(receipts, cut)

    memberships = brought_by_guides(memberships, groups, guide, truth, rng["guides"])
    talk = draw_engagements(everything.orders, groups, memberships, truth, accounts, season, settings, rng["engagements"])
    rewards = draw_rewards(everything, receipts, coupon, talk, accounts, truth.settings.end)
    return SocialLife(
        acts=everything,
        receipts=receipts,
        accounts=accounts,
        groups=groups,
        memberships=memberships,
        group_buys=group_buys,
        engagements=talk,
        rewards=rewards,
        attributes=draw_attributes(truth, accounts, guide, rewards, settings, rng["attributes"]),
        identities=draw_identities(accounts, settings, rng["identities"]),
        outreach=outreach,
        guide=guide,
        answer=answer,
        friendships=draw_abuser_ties(accounts, rng["friendships"]),
    )
