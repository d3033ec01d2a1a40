"""What each user shares, and how people respond."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

MOST_BY_ONE = 5
"""Responses of one person to one sharer that count in a sum: more of them say no more of how many the sharer reaches, and
a friend at the next desk can give them without end. Of the clicks of `taobao-share` .94 count."""


@block({"shares": ()})
def shares_made(snapshot: Snapshot) -> ir.Table:
    """Shares sent, and re-shares among them.

    shares_{w}          int64    shares  sent in the window
    shares_all          int64    shares  sent in all history
    reshares_all        int64    shares  sent on from an earlier share
    share_idle_days     float64  days    from the last share to as_of, > 0
    """
    shares = snapshot["shares"]
    counted = shares.group_by(user_id="sharer_id").agg(
        **{f"shares_{w}": shares.count(where=shares.shared_at >= start) for w, start in snapshot.windows.items()},
        shares_all=shares.count(),
        reshares_all=shares.count(where=shares.parent_share_id.notnull()),
        last_at=shares.shared_at.max(),
    )
    return counted.mutate(share_idle_days=snapshot.days_before(counted.last_at)).drop("last_at")


@block({"shares": (), "share_responses": ("share_id",)})
def shares_answered(snapshot: Snapshot) -> ir.Table:
    """How many of the user's shares somebody else responded to, where responses name the share.

    shares_answered_all    int64    shares  with at least one response
    acceptance_rate        float64  -       share of the user's shares with at least one response, 0 to 1
    acceptance_{w}         float64  -       the same of shares sent in the window, null without any
    fatigue                float64  -       acceptance_rate less that of the longest window, -1 to 1: above 0 friends tire
    """
    shares = snapshot["shares"].select("share_id", "sharer_id", "shared_at")
    responses = snapshot["share_responses"].select("share_id", "responder_id").join(shares, "share_id")
    others = responses.filter(responses.responder_id != responses.sharer_id)
    answered = others.group_by("share_id").agg(answers=others.count())
    joined = shares.left_join(answered, "share_id")
    heard = joined.answers.notnull()
    sent = {w: joined.shared_at >= start for w, start in snapshot.windows.items()}
    counted = joined.group_by(user_id="sharer_id").agg(
        shares_answered_all=joined.count(where=heard),
        shares=joined.count(),
        **{f"answered_{w}": joined.count(where=heard & lately) for w, lately in sent.items()},
        **{f"sent_{w}": joined.count(where=lately) for w, lately in sent.items()},
    )
    rates = counted.select(
        "user_id",
        "shares_answered_all",
        acceptance_rate=ratio(counted.shares_answered_all, counted.shares),
        **{f"acceptance_{w}": ratio(counted[f"answered_{w}"], counted[f"sent_{w}"]) for w in sent},
    )
    return rates.mutate(fatigue=rates.acceptance_rate - rates[f"acceptance_{list(sent)[-1]}"])


@block({"share_responses": ("sharer_id",)})
def responses_drawn(snapshot: Snapshot) -> ir.Table:
    """Responses to what the user shared, where responses name the sharer.

    responses_{w}         int64    responses  drawn in the window, at most 5 by one person
    responses_all         int64    responses  drawn in all history, at most 5 by one person
    responders_all        int64    people     distinct, in all history
    responders_{w}        int64    people     distinct, lately active ones: last response in the window
    subjects_shared_all   int64    items      distinct items that drew a response
    response_idle_days    float64  days       from the last response to as_of, > 0
    responses_each        float64  -          responses per responder, 1 to 5
    """
    responses = snapshot["share_responses"]
    responses = responses.filter(responses.sharer_id != responses.responder_id)
    at, windows = responses.responded_at, snapshot.windows.items()
    pairs = responses.group_by("sharer_id", "responder_id").agg(
        last_at=at.max(),
        responses_all=ibis.least(responses.count(), MOST_BY_ONE),
        **{f"responses_{w}": ibis.least(responses.count(where=at >= start), MOST_BY_ONE) for w, start in windows},
    )
    people = pairs.group_by("sharer_id").agg(
        responders_all=pairs.count(),
        **{f"responders_{w}": pairs.count(where=pairs.last_at >= start) for w, start in windows},
        responses_all=pairs.responses_all.sum().cast("int64"),
        **{f"responses_{w}": pairs[f"responses_{w}"].sum().cast("int64") for w, _ in windows},
    )
    counted = responses.group_by("sharer_id").agg(
        subjects_shared_all=responses.item_id.nunique(),
        last_at=responses.responded_at.max(),
    )
    joined = counted.join(people, "sharer_id")
    return joined.mutate(
        user_id=joined.sharer_id,
        response_idle_days=snapshot.days_before(joined.last_at),
        responses_each=ratio(joined.responses_all, joined.responders_all),
    ).drop("last_at", "sharer_id")


@block({"share_responses": ()})
def responses_given(snapshot: Snapshot) -> ir.Table:
    """Responses of the user to the shares of others.

    answers_{w}         int64    responses  given in the window
    answers_all         int64    responses  given in all history
    answer_idle_days    float64  days       from the user's last response to as_of, > 0
    """
    responses = snapshot["share_responses"]
    # A null sharer is somebody whom the source does not name, hardly the responder.
    responses = responses.filter((responses.sharer_id != responses.responder_id).fill_null(True))
    given = responses.group_by(user_id="responder_id").agg(
        **{f"answers_{w}": responses.count(where=responses.responded_at >= start) for w, start in snapshot.windows.items()},
        answers_all=responses.count(),
        last_at=responses.responded_at.max(),
    )
    return given.mutate(answer_idle_days=snapshot.days_before(given.last_at)).drop("last_at")
