"""Every feature block, in the order of the data dictionary."""

from features.blocks.acquaintances import acquaintances, community_sizes, team
from features.blocks.activity import activity
from features.blocks.block import Block
from features.blocks.cascades import chain_money, chain_nucleus, chain_people, chain_reach, share_chains
from features.blocks.community import engagement, invitations, memberships, rewards
from features.blocks.content import content
from features.blocks.earliness import earliness
from features.blocks.group_buy import group_buy_speed, group_buys_joined, group_buys_opened, help_rules
from features.blocks.influence import follow_up_rate, influence_chain, influence_given, influence_received, people_moved
from features.blocks.levels import levels, permissions, tiers
from features.blocks.lifecycle import lifecycle
from features.blocks.neighbours import shared_taste
from features.blocks.points import points
from features.blocks.purchase import (
    category_spread,
    purchase_discount,
    purchase_frequency,
    purchase_money,
    purchase_rhythm,
    purchase_variety,
)
from features.blocks.sharing import responses_drawn, responses_given, shares_answered, shares_made
from features.blocks.spaces import attendance, spaces
from features.blocks.streaks import check_ins
from features.blocks.strength import open_by_strength, tie_strengths
from features.blocks.ties import degrees, degrees_by_kind, tie_structure
from features.blocks.touches import touches

ALL_BLOCKS: tuple[Block, ...] = (
    activity,
    lifecycle,
    purchase_frequency,
    purchase_rhythm,
    purchase_money,
    purchase_discount,
    purchase_variety,
    category_spread,
    earliness,
    influence_given,
    people_moved,
    influence_received,
    follow_up_rate,
    influence_chain,
    shares_made,
    shares_answered,
    responses_drawn,
    responses_given,
    chain_people,
    chain_nucleus,
    chain_money,
    share_chains,
    chain_reach,
    group_buys_opened,
    group_buys_joined,
    group_buy_speed,
    help_rules,
    memberships,
    invitations,
    engagement,
    check_ins,
    content,
    touches,
    rewards,
    points,
    levels,
    tiers,
    permissions,
    spaces,
    attendance,
    community_sizes,
    team,
    acquaintances,
    degrees,
    degrees_by_kind,
    tie_structure,
    shared_taste,
    tie_strengths,
    open_by_strength,
)
