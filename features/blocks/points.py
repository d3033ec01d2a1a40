"""Points of each user by what they were granted for."""

import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

SOURCES = {
    "spending": ("spending", "order", "orders", "purchase", "consumption", "消费", "购物"),
    "check_in": ("check_in", "checkin", "check-in", "sign_in", "签到", "打卡"),
    "sharing": ("sharing", "share", "moments", "invitation", "分享", "朋友圈", "邀请"),
    "posting": ("posting", "post", "review", "content", "发帖", "评价"),
}
"""What points are granted for -> how sources name it; other sources count in the totals alone."""

POINTS = ("points", "point", "积分")
"""Kinds of rewards that are points. Where no kind is given, every reward counts as points."""


@block({"rewards": ("amount", "source")})
def points(snapshot: Snapshot) -> ir.Table:
    """Points granted; those spent or taken back, which are negative, do not count.

    points_{w}             int64    points  granted in the window
    points_all             int64    points  granted in all history
    points_spending_{w}    int64    points  granted for purchases, in the window
    points_spending_all    int64    points  granted for purchases
    points_check_in_{w}    int64    points  granted for check-ins, in the window
    points_check_in_all    int64    points  granted for check-ins
    points_sharing_{w}     int64    points  granted for shares and invitations, in the window
    points_sharing_all     int64    points  granted for shares and invitations
    points_posting_{w}     int64    points  granted for posts and reviews, in the window
    points_posting_all     int64    points  granted for posts and reviews
    points_task_share      float64  -       part of all points that came from check-ins, shares and posts, 0 to 1
    """
    granted = snapshot["rewards"]
    granted = granted.filter(granted.amount > 0)
    if snapshot.has("rewards", "kind"):
        granted = granted.filter(granted.kind.lower().isin(POINTS))
    source = granted.source.lower()
    of = {"": source.notnull() | source.isnull(), **{f"_{name}": source.isin(words) for name, words in SOURCES.items()}}
    summed = granted.group_by("user_id").agg(
        **{
            f"points{name}_{w}": granted.amount.sum(where=which & (granted.granted_at >= start))
            for name, which in of.items()
            for w, start in snapshot.windows.items()
        },
        **{f"points{name}_all": granted.amount.sum(where=which) for name, which in of.items()},
    )
    summed = summed.mutate(**{name: summed[name].fill_null(0).cast("int64") for name in summed.columns if name != "user_id"})
    tasks = summed.points_check_in_all + summed.points_sharing_all + summed.points_posting_all
    return summed.mutate(points_task_share=ratio(tasks, summed.points_all))
