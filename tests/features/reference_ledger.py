"""The influence ledger once more, slow and obvious: dicts and loops, written from DESIGN.md instead of from the product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Row = Mapping[str, Any]
Triple = tuple[str, str, str]

STRONGEST_FIRST = ("referral", "buy", "group_buy", "response", "invitation", "tie")


@dataclass(frozen=True)
class Touch:
    """Somebody acted on somebody's account: a response, a join or an invitation."""

    influencer: str
    influenced: str
    subject: str
    at: datetime
    kind: str
    item: str | None


@dataclass
class Purchase:
    """All order lines of one person, subject and moment."""

    person: str
    subject: str
    at: datetime
    items: list[str] = field(default_factory=list)
    amount: int = 0
    referrers: set[str] = field(default_factory=set)

    @property
    def item(self) -> str | None:
        return min(self.items) if self.items else None


@dataclass
class Credit:
    influencer: str
    influenced: str
    subject: str
    at: datetime
    item: str | None
    kind: str
    weight: int
    value: int


def known_rows(rows: Sequence[Row], event_time: str | None, as_of: datetime) -> list[Row]:
    """Rows whose event time and recording, where they have one, are both before ``as_of``."""
    clocks = [clock for clock in (event_time, "recorded_at") if clock]
    return [row for row in rows if all(row.get(clock) is None or row[clock] < as_of for clock in clocks)]


def reference_ledger(
    tables: Mapping[str, Sequence[Row]], as_of: datetime, *, window: timedelta, min_gap: timedelta, level: str
) -> list[dict[str, Any]]:
    """The ledger at ``as_of`` as rows of dicts; ``tables`` need not be cut."""
    clock = {
        "orders": "ordered_at",
        "ties": "since",
        "shares": "shared_at",
        "share_responses": "responded_at",
        "group_buys": "opened_at",
        "group_buy_members": "joined_at",
        "memberships": "joined_at",
        "engagements": "happened_at",
    }
    known = {name: known_rows(rows, clock.get(name), as_of) for name, rows in tables.items()}
    items = {row["item_id"]: row for row in known.get("items", ())}

    def subject_of(item: str | None) -> str:
        if item is None:
            return ""
        above = {"item": None, "spu": "spu_id", "category": "category"}[level]
        return (above and items.get(item, {}).get(above)) or item

    purchases = _purchases(known.get("orders", ()), subject_of, as_of)
    touches = _touches(known, subject_of)
    led = _first_moments(purchases)
    ties = _ties(known.get("ties", ()))
    credits_: list[Credit] = []
    for purchase in purchases:
        kind, people = _claimants(purchase, touches, window)
        if not people and purchase.subject and led[purchase.person, purchase.subject] == purchase.at:
            kind, people = "tie", {
                other
                for other, since in ties.get(purchase.person, {}).items()
                if (since is None or since < purchase.at)
                and (other, purchase.subject) in led
                and min_gap < purchase.at - led[other, purchase.subject] <= window
            }  # fmt: skip
        for person in people:
            weight, value = 1_000_000 // len(people), purchase.amount // len(people)
            credits_.append(
                Credit(person, purchase.person, purchase.subject, purchase.at, purchase.item, kind, weight, value)
            )
    for touch in touches:
        one_event = touch.kind == "buy" and any(
            (purchase.person, purchase.subject) == (touch.influenced, touch.subject)
            and timedelta(0) <= touch.at - purchase.at <= timedelta(days=1)
            for purchase in purchases
        )
        if not one_event:
            who = (touch.influencer, touch.influenced, touch.subject)
            together = {
                other.influencer
                for other in touches
                if other.kind == "buy" and (other.influenced, other.subject, other.at) == (*who[1:], touch.at)
            }
            weight = 1_000_000 // len(together) if touch.kind == "buy" else 1_000_000
            credits_.append(Credit(*who, touch.at, touch.item, touch.kind, weight, 0))
    debut = _debuts(known)
    return [
        {
            "influencer_id": credit.influencer,
            "influenced_id": credit.influenced,
            "subject": credit.subject,
            "item_id": credit.item,
            "category": items.get(credit.item or "", {}).get("category"),
            "happened_at": credit.at,
            "weight": credit.weight,
            "value": credit.value,
            "is_new": credit.at <= debut[credit.influenced],
            "evidence": credit.kind,
        }
        for credit in _counted_once(credits_)
    ]


def _purchases(orders: Sequence[Row], subject_of: Any, as_of: datetime) -> list[Purchase]:
    found: dict[tuple[str, str, datetime], Purchase] = {}
    for order in orders:
        item = order.get("item_id")
        key = (order["user_id"], subject_of(item), order["ordered_at"])
        purchase = found.setdefault(key, Purchase(*key))
        if item is not None:
            purchase.items.append(item)
        refunded_at = order.get("refunded_at")
        refund = (order.get("refund_amount") or 0) if refunded_at is not None and refunded_at < as_of else 0
        purchase.amount += max((order.get("amount") or 0) - refund, 0)
        referrer = order.get("referrer_id")
        if referrer is not None and referrer != order["user_id"]:
            purchase.referrers.add(referrer)
    return list(found.values())


def _touches(known: Mapping[str, Sequence[Row]], subject_of: Any) -> list[Touch]:
    found = []
    shares = {row["share_id"]: row for row in known.get("shares", ())}
    for row in known.get("share_responses", ()):
        share = shares.get(row.get("share_id"), {})
        sharer = row.get("sharer_id") or share.get("sharer_id")
        item = row.get("item_id") or share.get("item_id")
        kind = "buy" if row.get("action") == "buy" else "response"
        found.append(Touch(sharer, row["responder_id"], subject_of(item), row["responded_at"], kind, item))
    groups = {row["group_buy_id"]: row for row in known.get("group_buys", ())}
    for row in known.get("group_buy_members", ()):
        if group := groups.get(row["group_buy_id"]):
            item = group.get("item_id")
            found.append(Touch(group["initiator_id"], row["user_id"], subject_of(item), row["joined_at"], "group_buy", item))
    for row in known.get("memberships", ()):
        subject = f"community:{row.get('community_id') or ''}"
        found.append(Touch(row.get("inviter_id"), row["user_id"], subject, row["joined_at"], "invitation", None))
    return [touch for touch in found if touch.influencer and touch.influencer != touch.influenced]


def _first_moments(purchases: Sequence[Purchase]) -> dict[tuple[str, str], datetime]:
    first: dict[tuple[str, str], datetime] = {}
    for purchase in purchases:
        key = (purchase.person, purchase.subject)
        first[key] = min(first.get(key, purchase.at), purchase.at)
    return first


def _ties(rows: Sequence[Row]) -> dict[str, dict[str, datetime | None]]:
    """person -> who may influence the person -> since when (None: always), whatever the kinds of their ties."""
    found: dict[str, dict[str, datetime | None]] = {}
    for row in rows:
        me, other, since = row["user_id"], row["influencer_id"], row.get("since")
        if me != other:
            mine = found.setdefault(me, {})
            mine[other] = None if since is None or mine.get(other, since) is None else min(mine.get(other, since), since)
    return found


def _claimants(purchase: Purchase, touches: Sequence[Touch], window: timedelta) -> tuple[str, set[str]]:
    """The strongest kind of explicit evidence for a purchase, and everybody whom it names."""
    named: dict[str, set[str]] = {"referral": set(purchase.referrers)}
    for touch in touches:
        if (touch.influenced, touch.subject) != (purchase.person, purchase.subject):
            continue
        after = purchase.at - touch.at
        if abs(after) <= timedelta(days=1) if touch.kind == "buy" else timedelta(0) <= after <= window:
            named.setdefault(touch.kind, set()).add(touch.influencer)
    for kind in STRONGEST_FIRST:
        if named.get(kind):
            return kind, named[kind]
    return "tie", set()


def _counted_once(credits_: Sequence[Credit]) -> list[Credit]:
    """One row per (influencer, influenced, subject, moment); weight at the first moment only, nothing without either."""
    triples: dict[Triple, dict[datetime, list[Credit]]] = {}
    for credit in credits_:
        moments = triples.setdefault((credit.influencer, credit.influenced, credit.subject), {})
        moments.setdefault(credit.at, []).append(credit)
    kept = []
    for (influencer, influenced, subject), moments in triples.items():
        for at, several in moments.items():
            item = min((credit.item for credit in several if credit.item is not None), default=None)
            kind = min((credit.kind for credit in several), key=STRONGEST_FIRST.index)
            weight = max(credit.weight for credit in several) if at == min(moments) else 0
            value = sum(credit.value for credit in several)
            if weight or value:
                kept.append(Credit(influencer, influenced, subject, at, item, kind, weight, value))
    return kept


def _debuts(known: Mapping[str, Sequence[Row]]) -> dict[str, datetime]:
    """person -> first order, or the first act of any kind of a person without an order."""
    acts: dict[str, list[datetime]] = {}
    orders: dict[str, list[datetime]] = {}
    for table, who, when in (
        ("orders", "user_id", "ordered_at"),
        ("shares", "sharer_id", "shared_at"),
        ("share_responses", "responder_id", "responded_at"),
        ("share_responses", "sharer_id", "responded_at"),
        ("group_buys", "initiator_id", "opened_at"),
        ("group_buy_members", "user_id", "joined_at"),
        ("memberships", "user_id", "joined_at"),
        ("orders", "referrer_id", "ordered_at"),
        ("memberships", "inviter_id", "joined_at"),
        ("engagements", "user_id", "happened_at"),
    ):
        for row in known.get(table, ()):
            if row.get(who):
                acts.setdefault(row[who], []).append(row[when])
                if (table, who) == ("orders", "user_id"):
                    orders.setdefault(row[who], []).append(row[when])
    return {person: min(orders.get(person, moments)) for person, moments in acts.items()}
