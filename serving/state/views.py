"""Views of the operations database in the shapes of the data contract: what the next training reads of it.

Every output is a column of a table and no expression: SQLite knows the types of such columns only, and a reader would
otherwise guess them from the first row.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from serving.state.tables import candidate_lists, list_members, outcomes, outreach, roster, suppressions

FURTHEST = ("converted", "shared", "accepted", "declined")
"""Outcomes, the one that stands for several first."""

HOLDOUT = "holdout"


def training_outreach() -> sa.CompoundSelect[Any]:
    """The table `outreach` of the contract: every contact with its furthest outcome, and who was held out, once a list.

    ``contacted_at`` of somebody held out is when the list was made. ``outcome_at`` is when the outcome was recorded: it
    was not known before, however early it happened. An outcome belongs to the last contact before it.
    """
    later = outreach.alias("later")
    of_contact = _furthest(
        outcomes.c.campaign_id == outreach.c.campaign_id,
        outcomes.c.user_id == outreach.c.user_id,
        outcomes.c.happened_at >= outreach.c.contacted_at,
        ~sa.exists()
        .where(
            later.c.campaign_id == outreach.c.campaign_id,
            later.c.user_id == outreach.c.user_id,
            later.c.contacted_at <= outcomes.c.happened_at,
            sa.tuple_(later.c.contacted_at, later.c.key) > sa.tuple_(outreach.c.contacted_at, outreach.c.key),
        )
        .correlate(outreach, outcomes),
        of=(outreach,),
    )
    found = outcomes.alias("found")
    contacts = (
        sa.select(
            outreach.c.campaign_id,
            outreach.c.user_id,
            outreach.c.arm,
            outreach.c.channel,
            outreach.c.incentive,
            outreach.c.cost,
            outreach.c.staff,
            found.c.outcome,
            found.c.recorded_at.label("outcome_at"),
            outreach.c.contacted_at,
            outreach.c.recorded_at,
        )
        .select_from(outreach.outerjoin(found, found.c.key == of_contact))
        .where(_not_erased(outreach.c.user_id))
    )
    of_member = _furthest(
        outcomes.c.list_id == list_members.c.list_id,
        outcomes.c.user_id == list_members.c.user_id,
        outcomes.c.happened_at >= candidate_lists.c.created_at,
        of=(list_members, candidate_lists),
    )
    held_out = (
        sa.select(
            list_members.c.list_id,
            list_members.c.user_id,
            list_members.c.arm,
            sa.null(),
            sa.null(),
            sa.null(),
            sa.null(),
            found.c.outcome,
            found.c.recorded_at,
            candidate_lists.c.created_at,
            candidate_lists.c.created_at,
        )
        .select_from(
            list_members.join(candidate_lists, candidate_lists.c.list_id == list_members.c.list_id).outerjoin(
                found, found.c.key == of_member
            )
        )
        .where(list_members.c.arm == HOLDOUT, _not_erased(list_members.c.user_id))
    )
    return sa.union_all(contacts, held_out)


def training_identities() -> sa.Select[Any]:
    """The table `identities` of the contract: external ids of the roster whose user is known."""
    other = roster.alias("other")
    first = (
        sa.select(other.c.key)
        .where(
            other.c.user_id == roster.c.user_id, other.c.kind == roster.c.kind, other.c.external_id == roster.c.external_id
        )
        .order_by(other.c.recorded_at, other.c.key)
        .limit(1)
        .correlate(roster)
        .scalar_subquery()
    )
    return sa.select(
        roster.c.user_id,
        roster.c.kind,
        roster.c.external_id.label("value"),
        roster.c.added_at.label("valid_from"),
        roster.c.recorded_at,
    ).where(roster.c.key == first, _not_erased(roster.c.user_id))


def training_memberships() -> sa.Select[Any]:
    """The table `memberships` of the contract: communities that people of the roster have joined, and who invited them."""
    return sa.select(
        roster.c.community_id,
        roster.c.user_id,
        roster.c.inviter_id,
        roster.c.added_at.label("joined_at"),
        roster.c.recorded_at,
    ).where(roster.c.user_id.is_not(None), roster.c.community_id.is_not(None), _not_erased(roster.c.user_id))


def _furthest(*conditions: sa.ColumnElement[bool], of: Sequence[sa.Table]) -> sa.ScalarSelect[Any]:
    """The key of the outcome that stands for all that meet the conditions; of equal ones the first."""
    rank = sa.case({outcome: place for place, outcome in enumerate(FURTHEST)}, value=outcomes.c.outcome)
    return (
        sa.select(outcomes.c.key)
        .where(*conditions)
        .order_by(rank, outcomes.c.happened_at, outcomes.c.key)
        .limit(1)
        .correlate(*of)
        .scalar_subquery()
    )


def _not_erased(user_id: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(suppressions.c.user_id == user_id, suppressions.c.kind == "erased")


VIEWS = {
    "training_outreach": training_outreach(),
    "training_identities": training_identities(),
    "training_memberships": training_memberships(),
}
"""Name -> rows, made by the migrations."""
