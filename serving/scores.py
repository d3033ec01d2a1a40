"""The scores of all users at a date, and what each tie is expected to carry."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.lifecycle import STAGES
from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot, latest_attributes
from serving.category_record import category_influence
from serving.criteria import PRIOR
from serving.extra_columns import extra_columns
from serving.nearness import KOC_TIERS, hops_to_koc
from serving.store.schemas import TIES_SCHEMA
from serving.value_columns import outlook
from training.explain import reason_contributions, say_reasons, side_sums
from training.frame import Frame
from training.hybrid import Hybrid, Said
from training.matrix import Floats, Matrix, Places
from training.roomy import column_laid_out
from training.tie_model import summed

EXPLAINED = 10_000
"""Users with a reason in words, from the top; contributions of everybody would take longer than the scores."""

ACTIVATED = ("people_moved", "activation", "activated_since")
"""Columns of what a user has done so far, which is kept apart from what the score expects; see `user_facts`."""

ACTIVATION = ("active", "lapsed", "never")

TIERS = (("head", 99.0), ("waist", 90.0), ("tail", 0.0))
"""Tier of a candidate -> the least percentile, the best tier first."""

MOST_TIES = 20_000_000
"""Ties kept with a batch; of more, those that are expected to carry most."""


def score_users(
    hybrid: Hybrid, frame: Frame, said: Said, facts: pa.Table, extras: Mapping[str, Floats] | None = None
) -> pa.Table:
    """One row per user of the frame, best first, equal scores by user_id: the columns of `score_columns`, and of
    `explain` for the first ``EXPLAINED`` users, null beyond. ``facts``: as `user_facts` tells them. ``extras``: column ->
    (N,) in the order of the frame, as extra models give them, nan becoming null.

    Without evidence of influence there are no reasons, and the likeliest leavers come first.
    """
    order = best_first(frame, said)
    scored = with_extras(score_columns(frame, said, facts), extras or {})
    place = pa.array(order)
    scored = pa.table({name: column_laid_out(scored[name].take(place)) for name in scored.column_names})
    if said.margin is None:
        return scored
    top = explain(hybrid, frame, said, order[:EXPLAINED])
    for name in top.column_names:
        beyond = pa.nulls(len(order) - len(top), top[name].type)
        scored = scored.append_column(name, pa.concat_arrays([*top[name].chunks, beyond]))
    return scored


def with_extras(scored: pa.Table, extras: Mapping[str, Floats]) -> pa.Table:
    """``scored`` with what extra models say of its users: column -> (N,), nan becoming null."""
    for name, values in extras.items():
        scored = scored.append_column(name, pa.array(values, from_pandas=True))
    return scored


def best_first(frame: Frame, said: Said) -> Places:
    """(N,) rows of the frame, the best score first; without scores, the likeliest leavers; equal ones by user_id."""
    if said.margin is not None:
        return np.argsort(-said.margin, kind="stable")
    if said.churn is not None:
        return np.argsort(-np.where(frame.churn_population, said.churn, np.nan), kind="stable")
    return np.arange(len(frame.users))


def score_columns(frame: Frame, said: Said, facts: pa.Table) -> pa.Table:
    """One row per user of the frame, in its order; said: what the models say of it; facts: see `user_facts`.

    user_id              string
    koc_score            float64  people expected to be moved within the horizon, > 0
    koc_percentile       float64  0 to 100, equal scores share the middle
    koc_tier             string   ``head``: the top 1 %; ``waist``: the 9 % below; ``tail``: the others
    expected_followers   float64  follow-ups that the tie model alone expects over all ties of the user, >= 0
    expected_new         float64  of the people expected to be moved, those whose first order ever it would be
    expected_value       float64  minor units expected to be moved within the horizon; null where no amounts are known
    value_at_risk        float64  minor units a horizon that the user spends lately and is expected to move; null as before
    rising               float64  influence lately against before, log2, above 0 is rising; null without any
    hops_to_koc          int64    ties to the nearest of the head and waist who is active, 0 for one; null without a way
    churn_probability    float64  of no order within the horizon, 0 to 1; null without an order in the two horizons before
    and the columns of ``facts`` and of `serving.value_columns.outlook`

    ``koc_score`` is what may come, ``activation`` what has been; neither is made of the other. Without evidence of
    influence neither is there; without a tie model there is no ``expected_followers``, without ties no ``hops_to_koc``.
    """
    matrix = frame.matrix
    columns: dict[str, pa.Array] = {"user_id": pa.array(matrix.users, pa.string())}
    if said.margin is not None:
        columns["koc_score"] = pa.array(np.exp(said.margin))
        columns["koc_percentile"] = pa.array(percentile(said.margin))
        columns["koc_tier"] = tiers(percentile(said.margin))
        if said.follow_ups is not None:
            columns["expected_followers"] = pa.array(summed(frame, said.follow_ups))
        columns["expected_new"] = pa.array(np.exp(said.margin) * _new_share(matrix))
        moved = np.exp(said.margin) * _value_each(matrix)
        columns["expected_value"] = pa.array(moved, from_pandas=True)
        columns["value_at_risk"] = pa.array(moved + _spend_a_horizon(frame), from_pandas=True)
        columns["rising"] = pa.array(matrix.column("influence_rising"), from_pandas=True)
        if len(frame.ties):
            koc = pc.and_(
                pc.is_in(columns["koc_tier"], value_set=pa.array(KOC_TIERS)), pc.equal(facts["activation"], "active")
            )
            columns["hops_to_koc"] = hops_to_koc(frame.ties, koc.to_numpy().astype(bool))
    if said.churn is not None:
        # The model has seen recent buyers only; of others it would say a number without a meaning.
        columns["churn_probability"] = pa.array(said.churn, mask=~frame.churn_population)
    known = [name for name in facts.column_names if said.margin is not None or name not in ACTIVATED]
    return pa.table({**columns, **{name: facts[name] for name in known}, **outlook(columns, facts)})


def user_facts(frame: Frame, snapshot: Snapshot) -> pa.Table:
    """What is so of each user of the frame, in its order, whatever a model says.

    people_moved         float64  people moved so far, each follow-up shared among those who may have led to it
    activation           string   ``active``: moved somebody within the last horizon; ``lapsed``: before it only; ``never``
    activated_since      string   local date on which the user first moved somebody, null if never
    audience             int64    people whom the user may influence by ties; not there without ties
    main_category        string   category in which the user moved most, of equal ones the first; null without any
    community_id         string   the largest community of the user, of equal ones the first; null for no member's
    stage                string   lifecycle stage
    attribute columns    string   as of the date
    and the columns of `serving.extra_columns`
    """
    users = pa.array(frame.users, pa.string())
    stage = pa.array(STAGES).take(pa.array(frame.matrix.column("stage").astype(int)))
    belongs = {**_audience(frame), **_main_category(snapshot, users), **_community(snapshot, users)}
    extra = extra_columns(snapshot, frame)
    own = pa.table({**_activation(frame, snapshot), **belongs, "stage": stage})
    held = {name: column_laid_out(own[name]) for name in own.column_names}
    return pa.table({**held, **extra, **_attributes(snapshot, users)})


def explain(hybrid: Hybrid, frame: Frame, said: Said, rows: Places) -> pa.Table:
    """For ``rows`` of the frame, in their order, why ``hybrid`` scores them so.

    willingness   float64  what sharing, inviting and buying add to the log of the score
    reach         float64  what the people around and past influence add to it; with one base the two are all of it
    reason        string   in words
    reason_zh     string   the same in Chinese
    """
    parts = reason_contributions(hybrid, frame, said, rows.tolist())
    columns: dict[str, pa.Array] = {side: pa.array(added) for side, added in side_sums(parts).items()}
    texts = say_reasons(parts, frame, said, rows.tolist())
    columns["reason"] = pa.array(texts["en"], pa.string())
    columns["reason_zh"] = pa.array(texts["zh"], pa.string())
    return pa.table(columns)


def tie_scores(frame: Frame, said: Said) -> pa.Table:
    """One row per tie of somebody who has acted, sorted by influencer, then by follower; empty without a tie model.

    user_id              string   who may follow
    influencer_id        string
    expected_follow_ups  float32  within the horizon, > 0: the probability of one where it is small
    strength             float32  see `features.tie_table`, >= 1
    """
    if said.follow_ups is None:
        return TIES_SCHEMA.empty_table()
    kept = np.arange(len(frame.ties))
    if len(kept) > MOST_TIES:
        kept = np.sort(np.argpartition(-said.follow_ups, MOST_TIES)[:MOST_TIES])
    people = frame.people
    columns = {
        "user_id": people.take(pa.array(frame.ties.followers[kept])),
        "influencer_id": people.take(pa.array(frame.ties.influencers[kept])),
        "expected_follow_ups": pa.array(said.follow_ups[kept].astype(np.float32)),
        "strength": pa.array(frame.ties.select(["strength"])[kept, 0]),
    }
    return pa.table(columns, schema=TIES_SCHEMA)


def explained(users: pa.Table) -> pa.Array:
    """The ids of those scored users who have a reason, best first."""
    if "reason" not in users.column_names:
        return pa.array([], pa.string())
    return users.filter(pc.is_valid(users["reason"]))["user_id"].combine_chunks()


def percentile(score: Floats) -> Floats:
    """(N,) 0 to 100; equal scores share the middle of their places."""
    ordered = np.sort(score)
    low, high = np.searchsorted(ordered, score, "left"), np.searchsorted(ordered, score, "right")
    return 100.0 * (low + high) / (2 * max(len(score), 1))


def tiers(percentiles: Floats) -> pa.Array:
    """(N,) ``head``, ``waist`` or ``tail``, by 0 to 100."""
    names = pa.array([name for name, _ in TIERS])
    return names.take(pa.array(np.argmax([percentiles >= least for _, least in TIERS], axis=0)))


def _value_each(matrix: Matrix) -> Floats:
    """(N,) money per person moved, in minor units: a user's own record, backed by ``PRIOR`` people at the market's mean."""
    moved, value = matrix.column("influence_all") / WEIGHT_UNIT, matrix.column("influence_value_all")
    if not value.any():
        return np.full(len(value), np.nan)
    each: Floats = (value + PRIOR * value.sum() / moved.sum()) / (moved + PRIOR)
    return each


def _new_share(matrix: Matrix) -> Floats:
    """(N,) share of new customers among those a user moves: the own record, backed by ``PRIOR`` people of the market."""
    moved, new = matrix.column("influence_all"), matrix.column("influence_new_all")
    market = new.sum() / moved.sum() if moved.any() else 0.0
    share: Floats = (new / WEIGHT_UNIT + PRIOR * market) / (moved / WEIGHT_UNIT + PRIOR)
    return share


def _spend_a_horizon(frame: Frame) -> Floats:
    """(N,) minor units that a user spent in the longest window, for each horizon of it; nan where no amounts are known."""
    window = frame.windows[-1]
    if f"spend_{window}" not in frame.matrix:
        return np.full(len(frame.users), np.nan)
    days = float(window.removesuffix("d"))
    spent: Floats = np.nan_to_num(frame.matrix.column(f"spend_{window}")) * frame.horizon_days / days
    return spent


def _audience(frame: Frame) -> dict[str, pa.Array]:
    if "followers" not in frame.matrix:
        return {}
    return {"audience": pa.array(np.nan_to_num(frame.matrix.column("followers")).astype(np.int64))}


def _main_category(snapshot: Snapshot, users: pa.Array) -> dict[str, pa.Array]:
    """The category in which each of ``users`` moved most; empty where nobody moved anybody in any."""
    order = [("influence", "descending"), ("category", "ascending")]
    return _first_of_each(category_influence(snapshot).sort_by(order), "category", "main_category", users)


def _community(snapshot: Snapshot, users: pa.Array) -> dict[str, pa.Array]:
    """The largest community of each of ``users`` at the date; empty where no memberships are known."""
    if "memberships" not in snapshot:
        return {}
    joined = snapshot["memberships"]
    present = joined.filter(joined.left_at.isnull(), joined.community_id.notnull()).select("user_id", "community_id")
    rows = snapshot.engine.to_arrow(present.distinct())
    sizes = rows.group_by("community_id").aggregate([("user_id", "count")])
    place = pc.index_in(rows["community_id"], value_set=sizes["community_id"].combine_chunks())
    rows = rows.append_column("members", pc.take(sizes["user_id_count"], place))
    order = [("members", "descending"), ("community_id", "ascending")]
    return _first_of_each(rows.sort_by(order), "community_id", "community_id", users)


def _first_of_each(rows: pa.Table, column: str, name: str, users: pa.Array) -> dict[str, pa.Array]:
    """``name`` -> what ``column`` holds in the first of ``rows`` of each of ``users``, null where there is none."""
    if not len(rows):
        return {}
    # The first place of an id is what `index_in` finds.
    place = pc.index_in(users, value_set=rows["user_id"].combine_chunks())
    return {name: rows[column].combine_chunks().take(place)}


def _activation(frame: Frame, snapshot: Snapshot) -> dict[str, pa.Array]:
    """Whom each user of the frame has moved so far, as columns of `user_facts`."""
    matrix, zone = frame.matrix, snapshot.source.dataset.zone
    ever, lately = matrix.column("influence_all"), matrix.column(f"influence_{int(frame.horizon_days)}d")
    ledger = snapshot["ledger"].filter(lambda t: t.weight > 0)
    first = snapshot.engine.to_arrow(ledger.group_by(user_id="influencer_id").agg(at=ledger.happened_at.min()))
    moments = first["at"].cast(pa.timestamp("us")).cast(pa.timestamp("us", zone))
    place = pc.index_in(pa.array(matrix.users, pa.string()), value_set=first["user_id"].combine_chunks())
    return {
        "people_moved": pa.array(ever / WEIGHT_UNIT),
        "activation": pa.array(ACTIVATION).take(pa.array(np.where(lately > 0, 0, np.where(ever > 0, 1, 2)))),
        "activated_since": pc.strftime(moments, "%Y-%m-%d").combine_chunks().take(place),
    }


def _attributes(snapshot: Snapshot, users: pa.Array) -> dict[str, pa.Array]:
    """Attribute -> its value for each of ``users`` as of the snapshot."""
    if "attributes" not in snapshot:
        return {}
    rows = snapshot.engine.to_arrow(latest_attributes(snapshot))
    columns = {}
    for name in sorted(pc.unique(rows["name"]).to_pylist()):
        own = rows.filter(pc.equal(rows["name"], name)).combine_chunks()
        place = pc.index_in(users, value_set=own["user_id"].combine_chunks())
        columns[f"attribute_{name}"] = own["value"].combine_chunks().take(place)
    return columns
