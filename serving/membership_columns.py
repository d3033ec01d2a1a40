"""Columns of a batch about membership: sub-scores, level and tier, spaces, team, and the communities that people form."""

from collections.abc import Iterable
from hashlib import blake2b
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.acquaintances import present_members
from features.groups.facts import BAND_NAMES, band_of
from features.groups.members import detected_clusters
from features.snapshot import Snapshot
from serving.extra_contract import extra
from training.frame import Frame
from training.matrix import Floats

SOCIAL = ("followers", "mutual", "communities_now", "engagements_all", "offline_days_all", "known_at_join_mean")
DIFFUSION = ("influence_all", "people_moved_all", "invited_all", "shares_all", "responses_all", "group_members_brought")
TRANSACTION = ("orders_all", "spend_all", "active_days_all", "categories_all")
"""Features that each sub-score is made of, as far as the dataset gives them."""


@extra({})
def sub_scores(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """Three abilities apart from each other: each the mean of a user's percentiles over the features named above.

    social_score       float64  knows and meets people: percentile, 0 to 100; null without any such feature
    diffusion_score    float64  passes on and brings people: percentile, 0 to 100; null as before
    transaction_score  float64  buys: percentile, 0 to 100; null as before
    """
    parts = {"social_score": SOCIAL, "diffusion_score": DIFFUSION, "transaction_score": TRANSACTION}
    return _of_users(
        frame, {name: pa.array(composite(frame, features), from_pandas=True) for name, features in parts.items()}
    )


@extra({"attributes": ()})
def standing(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """What members have reached, and what comes next.

    level_rank   float64  number of the level held; null without one
    level_days   float64  days since it was reached
    next_level   float64  probability of a higher one within the horizon, 0 to 1
    tier_paid    bool     pays for membership
    grants_now   int64    permissions that hold, such as to distribute
    """
    columns = _features(frame, ("level_rank", "level_days", "next_level", "grants_now"), whole={"grants_now"})
    columns["tier_paid"] = pa.array(np.nan_to_num(frame.matrix.column("tier_paid")) > 0)
    return _of_users(frame, columns)


@extra({"memberships": ("community_id",), "communities": ("space",)})
def coverage(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """Evidence of the user offline, in a community and online.

    spaces_covered   int64  of the three, with evidence, 0 to 3
    space_offline    bool   met in person, or bought in a shop
    space_community  bool   in a community of that space
    space_online     bool   bought, shared or posted online
    """
    columns = _features(frame, ("spaces_covered",), whole={"spaces_covered"})
    for name in ("space_offline", "space_community", "space_online"):
        columns[name] = pa.array(np.nan_to_num(frame.matrix.column(name)) > 0)
    return _of_users(frame, columns)


@extra({"memberships": ("inviter_id",)})
def teams(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """People whom the user brought into communities.

    team_size     int64    present in one of them still
    team_missing  float64  to the next size of a team; null beyond the last
    """
    return _of_users(frame, _features(frame, ("team_size", "team_missing"), whole={"team_size"}))


@extra({"memberships": ("community_id",)})
def own_community(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """The size of the user's largest community, which `community_id` names.

    community_members  int64   people in it
    community_band     string  to_40, to_49, to_149, to_499 or from_500
    """
    present = present_members(snapshot)
    rows = snapshot.engine.to_arrow(present.select("community_id", "user_id"))
    counted = rows.group_by("community_id").aggregate([("user_id", "count")])
    place = pc.index_in(rows["community_id"], value_set=counted["community_id"].combine_chunks())
    sized = rows.append_column("n", pc.take(counted["user_id_count"], place))
    largest = sized.group_by("user_id").aggregate([("n", "max")])
    members = np.asarray(largest["n_max"].to_numpy(), dtype=np.int64)
    bands = pa.array(np.array(BAND_NAMES)[band_of(members)], pa.string())
    known = pa.array(frame.users, pa.string())
    found = pa.table({"user_id": largest["user_id"], "community_members": members, "community_band": bands})
    return found.filter(pc.is_in(found["user_id"], value_set=known))


@extra({"ties": ()})
def clusters(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """People who know each other form clusters, whether or not there is a group; see `detected_clusters`.

    cluster_id  string  ``cluster:`` and a digest of who is in it, so that it names nobody; null for people in none
    """
    found = detected_clusters(snapshot)
    coded = found["cluster_id"].combine_chunks().dictionary_encode()
    code = pc.fill_null(coded.indices, -1).to_numpy(zero_copy_only=False)
    # Stable, so that people stay in the order of ids.
    order = np.argsort(code, kind="stable")[np.count_nonzero(code < 0) :]
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    people = found["user_id"].take(pa.array(order)).to_pylist()
    ends = [*starts.tolist(), len(people)]
    names = [
        f"cluster:{blake2b(chr(0).join(people[start:end]).encode(), digest_size=8).hexdigest()}"
        for start, end in pairwise(ends)
    ]
    told = pa.array(names, pa.string()).take(pa.array(code, mask=code < 0))
    return found.set_column(found.column_names.index("cluster_id"), "cluster_id", told)


def composite(frame: Frame, features: Iterable[str]) -> Floats:
    """(N,) 0 to 100: the mean of each user's percentiles over those ``features`` that there are; unknown counts as 0.

    Equal values share the middle of their places. nan where there is none of the features.
    """
    given = [name for name in features if name in frame.matrix]
    if not given:
        return np.full(len(frame.users), np.nan)
    total = np.zeros(len(frame.users))
    for name in given:
        values = np.nan_to_num(frame.matrix.column(name))
        ordered = np.sort(values)
        total += 50.0 * (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right"))
    found: Floats = total / (len(given) * max(len(frame.users), 1))
    return found


def _features(frame: Frame, names: Iterable[str], whole: set[str]) -> dict[str, pa.Array]:
    found = {}
    for name in names:
        values = frame.matrix.column(name)
        found[name] = pa.array(values.astype(np.int64)) if name in whole else pa.array(values, from_pandas=True)
    return found


def _of_users(frame: Frame, columns: dict[str, pa.Array]) -> pa.Table:
    return pa.table({"user_id": pa.array(frame.users, pa.string()), **columns})
