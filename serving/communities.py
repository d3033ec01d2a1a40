"""The communities of a batch: what is so of each, who is about to leave it, and who could lead it."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.groups.facts import community_facts
from features.groups.members import Members, members_of
from features.snapshot import Snapshot
from serving.store.schemas import COMMUNITIES_SCHEMA
from training.frame import TIES_AT_ONCE, Frame
from training.hybrid import Said


def communities_of(frame: Frame, said: Said, snapshot: Snapshot, users: pa.Table, ties: pa.Table) -> pa.Table:
    """One row per community with members at the date, that of the highest value per head first, equal ones by id.

    users: as from `serving.scores.score_users`; ties: as from `serving.scores.tie_scores`. Where no memberships are known,
    the communities are the clusters of ``users``.

    The columns of `features.groups.facts.community_facts`, and
    rated               int64    members with a probability of churn: an order in the two horizons before
    expected_leavers    float64  of the rated, people expected not to order within the horizon
    leave_rate          float64  expected_leavers over rated, 0 to 1; null where nobody is rated
    candidate_id        string   the member who would lead it best, among those with acts within the horizon
    candidate_moves     float64  follow-ups inside the community that are expected of the candidate; null without a tie model
    """
    clusters = users.select(["user_id", "cluster_id"]) if "cluster_id" in users.column_names else None
    members = members_of(snapshot, clusters)
    if not len(members):
        return COMMUNITIES_SCHEMA.empty_table()
    facts = community_facts(snapshot, members)
    columns = {name: facts[name] for name in facts.column_names}
    table = pa.table(columns | _churn(frame, said, members) | _candidates(members, users, ties), schema=COMMUNITIES_SCHEMA)
    return table.sort_by([("value_per_head", "descending"), ("community_id", "ascending")])


def _churn(frame: Frame, said: Said, members: Members) -> dict[str, pa.Array]:
    count = len(members.ids)
    if said.churn is None:
        return {
            "rated": pa.array(np.zeros(count, np.int64)),
            "expected_leavers": pa.array(np.zeros(count)),
            "leave_rate": pa.nulls(count, pa.float64()),
        }
    rated = pa.array(frame.users[frame.churn_population], pa.string())
    place = pc.index_in(members.rows["user_id"].combine_chunks(), value_set=rated)
    # Members are in the order of ids, so that sums of probabilities do not depend on the order of rows.
    probability = pc.take(pa.array(said.churn[frame.churn_population]), place)
    known = pc.is_valid(probability).to_numpy(zero_copy_only=False)
    of = np.bincount(members.code[known], minlength=count)
    leavers = np.bincount(members.code[known], pc.drop_null(probability).to_numpy(), minlength=count)
    rate = np.divide(leavers, of, out=np.full(count, np.nan), where=of > 0)
    return {
        "rated": pa.array(of),
        "expected_leavers": pa.array(leavers),
        "leave_rate": pa.array(rate, from_pandas=True),
    }


def _candidates(members: Members, users: pa.Table, ties: pa.Table) -> dict[str, pa.Array]:
    """Of each community the active member of whom most follow-ups inside it are expected; equal ones by score, then by id.

    Whoever moves the people of this very community serves it better than somebody known elsewhere.
    """
    count = len(members.ids)
    none = {"candidate_id": pa.nulls(count, pa.string()), "candidate_moves": pa.nulls(count, pa.float64())}
    if "koc_score" not in users.column_names:
        return none
    user_id = members.rows["user_id"].combine_chunks()
    place = pc.index_in(user_id, value_set=users["user_id"].combine_chunks())
    score = pc.fill_null(users["koc_score"].combine_chunks().take(place), -1.0).to_numpy(zero_copy_only=False)
    stage = users["stage"].combine_chunks().take(place)
    here = pc.fill_null(pc.is_in(stage, value_set=pa.array(["newcomer", "active", "returned"])), False)
    moves = _moves_inside(members, ties)
    order = np.lexsort((np.arange(len(members)), -score, -moves, members.code))
    order = order[here.to_numpy(zero_copy_only=False)[order] & (score[order] >= 0)]
    of, first = np.unique(members.code[order], return_index=True)
    best = np.full(count, -1)
    best[of] = order[first]
    absent = best < 0
    told = pa.array(moves[best], mask=absent | (len(ties) == 0))
    return {"candidate_id": user_id.take(pa.array(best, mask=absent)), "candidate_moves": told}


def _moves_inside(members: Members, ties: pa.Table) -> NDArray[np.float64]:
    """(M,) follow-ups that are expected of each member along ties to others of the community."""
    moves = np.zeros(len(members))
    names = pc.unique(members.rows["user_id"].combine_chunks())
    person = np.asarray(pc.index_in(members.rows["user_id"].combine_chunks(), value_set=names), dtype=np.int64)
    # Rows of members by person: each tie meets every community of its influencer, and asks whether the follower is there.
    by_person = np.argsort(person, kind="stable")
    start = np.searchsorted(person[by_person], np.arange(len(names) + 1))
    key = np.sort(members.code * len(names) + person)
    for first in range(0, len(ties), TIES_AT_ONCE):
        some = ties.slice(first, TIES_AT_ONCE)
        ends = [np.asarray(pc.fill_null(pc.index_in(some[end].combine_chunks(), value_set=names), -1), dtype=np.int64)
                for end in ("influencer_id", "user_id")]  # fmt: skip
        both = (ends[0] >= 0) & (ends[1] >= 0)
        influencer, follower = ends[0][both], ends[1][both]
        size = start[influencer + 1] - start[influencer]
        tie = np.repeat(np.arange(len(influencer)), size)
        row = by_person[np.repeat(start[influencer] - np.cumsum(size) + size, size) + np.arange(len(tie))]
        wanted = members.code[row] * len(names) + follower[tie]
        at = np.searchsorted(key, wanted).clip(max=len(key) - 1)
        inside = key[at] == wanted
        # One after the other in the order of ties, so that sums do not depend on how many are looked at in one go.
        np.add.at(moves, row[inside], some["expected_follow_ups"].to_numpy().astype(float)[both][tie[inside]])
    return moves
