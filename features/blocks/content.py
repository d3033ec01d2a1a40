"""Posts and reviews of items: whether people around buy what somebody wrote about, against those led by invitation."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.ledger import with_subject
from features.snapshot import Snapshot

CONTENT = ("post", "review", "live")
"""Kinds of engagement that show an item to others."""

INVITED = ("buy", "group_buy", "response", "invitation")
"""Evidence of the ledger that somebody was led by hand."""


@block({"engagements": ("kind", "item_id"), "orders": ("item_id",), "ties": ()})
def content(snapshot: Snapshot) -> ir.Table:
    """What came of posts, reviews and live shows about items; of one subject the first counts.

    content_subjects_{w}    int64    subjects  shown in the window
    content_subjects_all    int64    subjects  shown in all history
    content_led             int64    pairs     (follower, subject) first bought within the attribution window after that
    content_led_each        float64  pairs     content_led per subject shown
    invite_led              int64    pairs     (person, subject) led by a share, a group buy or an invitation
    content_share           float64  -         content_led over content_led and invite_led, 0 to 1
    """
    shown = shown_subjects(snapshot)
    bought = snapshot["adoptions"].select("subject", "first_at", follower_id="user_id")
    around = snapshot["pairs"].select(follower_id="user_id", user_id="influencer_id")
    # From the followers' purchases of what was shown, so that a hub's followers are not multiplied by all it showed.
    seen = bought.semi_join(shown, "subject").join(around, "follower_id")
    after = seen.join(shown.select("user_id", "subject", "shown_at"), ["user_id", "subject"])
    after = after.mutate(wait_s=after.first_at.epoch_seconds() - after.shown_at.epoch_seconds())
    window_s = int(snapshot.time.window.total_seconds())
    after = after.filter(after.first_at > after.shown_at, after.wait_s <= window_s)
    led = after.group_by("user_id").agg(content_led=after.count())
    ledger = snapshot["ledger"]
    invited = ledger.filter(ledger.weight > 0, ledger.evidence.isin(INVITED))
    by_hand = invited.group_by(user_id="influencer_id").agg(invite_led=invited.count())
    counted = shown.group_by("user_id").agg(
        **{f"content_subjects_{w}": shown.count(where=shown.last_at >= start) for w, start in snapshot.windows.items()},
        content_subjects_all=shown.count(),
    )
    # Who invites may have written nothing.
    users = ibis.union(counted.select("user_id"), by_hand.select("user_id"), distinct=True)
    rows = users
    for part in (counted, led, by_hand):
        rows = rows.left_join(part, "user_id").drop("user_id_right")
    rows = rows.mutate(**{name: rows[name].fill_null(0) for name in rows.columns if name != "user_id"})
    return rows.mutate(
        content_led_each=ratio(rows.content_led, rows.content_subjects_all),
        content_share=ratio(rows.content_led, rows.content_led + rows.invite_led),
    )


def shown_subjects(snapshot: Snapshot) -> ir.Table:
    """(user_id, subject, shown_at, last_at), one row per pair: when somebody first and last wrote about something."""
    rows = snapshot["engagements"]
    about = with_subject(snapshot, rows.filter(rows.kind.lower().isin(CONTENT), rows.item_id.notnull()))
    return about.group_by("user_id", "subject").agg(shown_at=about.happened_at.min(), last_at=about.happened_at.max())
