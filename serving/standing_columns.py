"""Columns of a batch on the part that each user plays, and on what is held against them."""

import pyarrow as pa

from features.abuse.help_acts import NEEDS
from features.abuse.verdicts import verdicts
from features.roles import role_scores
from features.snapshot import Snapshot
from serving.extra_contract import extra
from training.frame import Frame


@extra({"orders": ("item_id",), "engagements": ("kind",)})
def roles(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """The parts that each user plays; see `features.roles`.

    role                   string   the part played most clearly, ordinary without any
    role_koc               float64  0 to 1, recommends to friends what was bought, and moves them
    role_kol               float64  0 to 1, writes for an audience
    role_distributor       float64  0 to 1, offers what others sell
    role_discount_hunter   float64  0 to 1, buys far below the price that everybody got
    role_staff_guide       float64  0 to 1, offers in business hours
    role_group_owner       float64  0 to 1, owns groups
    role_bot               float64  0 to 1, acts like clockwork
    role_sock_puppet       float64  0 to 1, one of the accounts of one person
    role_ring              float64  0 to 1, one of those who help each other in turn
    role_ordinary          float64  0 to 1, 1 less the highest of the others
    role_evidence          string   of the roles from .5 on, null without any
    role_evidence_zh       string   the same in Chinese
    """
    return role_scores(snapshot)


@extra(NEEDS)
def abuse(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """What is held against each account; see `features.abuse.verdicts`.

    abuse_score        float64  0 to 1, how clear it is; null without suspicion
    abuse_code         string   sock_puppet, bot_timing, help_ring, dense_block or help_rule
    abuse_evidence     string   why, how many acts speak for it and until when
    abuse_evidence_zh  string   the same in Chinese
    abuse_person       string   the main account of the person to whom this one belongs
    """
    return verdicts(snapshot)
