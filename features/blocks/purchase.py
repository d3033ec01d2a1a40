"""Purchase behaviour of each buyer: recency, frequency, money, rhythm and spread."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.ledger import net_amount
from features.local_time import to_local
from features.snapshot import Snapshot

DAY_S = 86_400


@block({"orders": ()})
def purchase_frequency(snapshot: Snapshot) -> ir.Table:
    """How much and how lately each user bought.

    orders_{w}          int64    orders   order lines in the window
    orders_all          int64    orders   order lines in all history
    recency_days        float64  days     from the last order to as_of, > 0
    tenure_days         float64  days     from the first order to as_of, > 0
    orders_per_day      float64  1/day    orders_all over tenure, at least one day
    orders_trend        float64  -        last window of the middle length against the one before: (a - b) / (a + b), -1 to 1
    """
    orders = snapshot["orders"]
    windows = list(snapshot.windows.items())
    _, middle = windows[min(1, len(windows) - 1)]
    earlier = middle - (snapshot.as_of - middle)
    at = orders.ordered_at
    counted = orders.group_by("user_id").agg(
        **{f"orders_{w}": orders.count(where=at >= start) for w, start in windows},
        orders_all=orders.count(),
        last_at=at.max(),
        first_at=at.min(),
        lately=orders.count(where=at >= middle),
        before=orders.count(where=(at >= earlier) & (at < middle)),
    )
    tenure = snapshot.days_before(counted.first_at)
    return counted.select(
        "user_id",
        *(f"orders_{w}" for w, _ in windows),
        "orders_all",
        recency_days=snapshot.days_before(counted.last_at),
        tenure_days=tenure,
        orders_per_day=counted.orders_all / ibis.greatest(tenure, 1.0),
        orders_trend=ratio(counted.lately - counted.before, counted.lately + counted.before),
    )


@block({"orders": ()})
def purchase_rhythm(snapshot: Snapshot) -> ir.Table:
    """Days with orders and the gaps between them, in local days.

    active_days_{w}      int64    days  with an order, in the window
    active_days_all      int64    days  with an order, in all history
    gap_days_mean        float64  days  mean between two days with orders, null for a single day
    gap_days_max         float64  days  longest between two days with orders
    gap_days_std         float64  days  standard deviation of the gaps
    overdue              float64  -     time since the last day with orders over the mean gap
    weekend_share        float64  -     share of days with orders that are Saturday or Sunday, 0 to 1
    """
    orders = snapshot["orders"]
    local = to_local(orders.ordered_at, snapshot.source.dataset.zone, snapshot.as_of)
    dated = orders.select("user_id", "ordered_at", day_number=(local.truncate("D").epoch_seconds() // DAY_S).cast("int64"))
    days = dated.group_by("user_id", "day_number").agg(at=dated.ordered_at.max())
    order = ibis.window(group_by="user_id", order_by="day_number")
    days = days.mutate(gap=days.day_number - days.day_number.lag().over(order), weekday=(days.day_number + 3) % 7)
    # Sums of integers: the result does not depend on the order of rows.
    counted = days.group_by("user_id").agg(
        **{f"active_days_{w}": days.count(where=days["at"] >= start) for w, start in snapshot.windows.items()},
        active_days_all=days.count(),
        gaps=days.gap.count(),
        gap_sum=days.gap.sum().cast("int64"),
        gap_squares=(days.gap * days.gap).sum().cast("int64"),
        gap_days_max=days.gap.max().cast("float64"),
        last_at=days["at"].max(),
        weekends=days.count(where=days.weekday >= 5),
    )
    mean = ratio(counted.gap_sum, counted.gaps)
    variance = ratio(counted.gap_squares, counted.gaps) - mean * mean
    return counted.select(
        "user_id",
        *(f"active_days_{w}" for w in snapshot.windows),
        "active_days_all",
        "gap_days_max",
        gap_days_mean=mean,
        gap_days_std=variance.abs().sqrt(),  # rounding may leave a variance of 0 slightly negative
        overdue=snapshot.days_before(counted.last_at) / mean.nullif(0.0),
        weekend_share=ratio(counted.weekends, counted.active_days_all),
    )


@block({"orders": ("amount",)})
def purchase_money(snapshot: Snapshot) -> ir.Table:
    """What each buyer spent, net of refunds known at as_of.

    spend_{w}        int64    minor units  net amount in the window
    spend_all        int64    minor units  net amount in all history
    order_value      float64  minor units  mean net amount of the order lines that have one
    order_value_max  int64    minor units  largest net amount of an order line
    refund_share     float64  -            refunded part of what was paid, 0 to 1
    """
    orders = snapshot["orders"]
    orders = orders.mutate(net=net_amount(orders))
    spent = orders.group_by("user_id").agg(
        **{
            f"spend_{w}": orders.net.sum(where=orders.ordered_at >= start).fill_null(0).cast("int64")
            for w, start in snapshot.windows.items()
        },
        spend_all=orders.net.sum().cast("int64"),
        priced=orders.amount.count(),
        order_value_max=orders.net.max(),
        paid=orders.amount.fill_null(0).sum().cast("int64"),
    )
    return spent.select(
        "user_id",
        *(f"spend_{w}" for w in snapshot.windows),
        "spend_all",
        "order_value_max",
        order_value=ratio(spent.spend_all, spent.priced),
        refund_share=ratio(spent.paid - spent.spend_all, spent.paid),
    )


@block({"orders": ("amount", "discount")})
def purchase_discount(snapshot: Snapshot) -> ir.Table:
    """How much each buyer leans on discounts.

    discounted_orders    int64    orders  order lines with a discount, all history
    discounted_share     float64  -       share of order lines with a discount, 0 to 1
    discount_share       float64  -       discount over price before discount, of lines with an amount, 0 to 1
    """
    orders = snapshot["orders"]
    bought = orders.group_by("user_id").agg(
        discounted_orders=orders.count(where=orders.discount > 0),
        lines=orders.count(),
        off=orders.discount.sum(where=orders.amount.notnull()).cast("int64"),
        paid=orders.amount.sum().cast("int64"),
    )
    return bought.select(
        "user_id",
        "discounted_orders",
        discounted_share=ratio(bought.discounted_orders, bought.lines),
        discount_share=ratio(bought.off, bought.off + bought.paid),
    )


@block({"orders": ("item_id",)})
def purchase_variety(snapshot: Snapshot) -> ir.Table:
    """How many different subjects (items, at the dataset's level of credit) each buyer takes up, and how often again.

    adopted_{w}      int64    subjects  first bought in the window
    subjects_{w}     int64    subjects  bought in the window
    subjects_all     int64    subjects  bought in all history
    repeat_share     float64  -         share of order lines that buy a subject again, 0 to 1
    """
    adoptions = snapshot["adoptions"]
    counted = adoptions.group_by("user_id").agg(
        **{f"adopted_{w}": adoptions.count(where=adoptions.first_at >= start) for w, start in snapshot.windows.items()},
        **{f"subjects_{w}": adoptions.count(where=adoptions.last_at >= start) for w, start in snapshot.windows.items()},
        subjects_all=adoptions.count(),
        lines=adoptions.times.sum().cast("int64"),
    )
    return counted.mutate(repeat_share=ratio(counted.lines - counted.subjects_all, counted.lines)).drop("lines")


@block({"orders": ("item_id",), "items": ("category",)})
def category_spread(snapshot: Snapshot) -> ir.Table:
    """How each buyer's orders spread over categories.

    categories_all       int64    categories  bought from in all history
    top_category_share   float64  -           share of order lines in the buyer's main category, 0 to 1
    category_focus       float64  -           sum of squared shares (Herfindahl index), 0 to 1
    """
    orders = snapshot["orders"]
    items = snapshot["items"]
    named = orders.join(items.select("item_id", "category"), "item_id")
    named = named.filter(named.category.notnull())
    lines = named.group_by("user_id", "category").agg(lines=named.count())
    spread = lines.group_by("user_id").agg(
        categories_all=lines.count(),
        most=lines.lines.max(),
        total=lines.lines.sum().cast("int64"),
        squares=(lines.lines * lines.lines).sum().cast("int64"),
    )
    return spread.select(
        "user_id",
        "categories_all",
        top_category_share=ratio(spread.most, spread.total),
        category_focus=ratio(spread.squares, spread.total * spread.total),
    )
