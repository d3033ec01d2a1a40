"""Evidence for people: who followed a user to what and when, and which item to hand the user next."""

import ibis
import ibis.expr.types as ir

from features.items import share_worth, tells_shares
from features.lookback import since_lookback
from features.snapshot import Snapshot

FOLLOW_UPS = 5
NEXT_ITEMS = 3
BEST_OF_CATEGORY = 3
"""Items of each category that may be handed on by people of whom nothing else is known."""


def follow_ups(snapshot: Snapshot, users: ir.Table, most: int = FOLLOW_UPS) -> ir.Table:
    """The latest ``most`` people-and-subjects that each of ``users`` moved, from the ledger of a prepared snapshot.

    Returns:
        user_id        string     who moved them, one of ``users``
        place          int64      1 is the latest; of one moment by influenced_id, then subject
        influenced_id  string
        item_id        string     null for an invitation
        category       string     of the item, where known
        happened_at    timestamp  when the influenced person acted, < ``as_of``
        evidence       string     one of `features.ledger.EVIDENCE`
        weight         int64      millionths, 1 to 1,000,000
    """
    moved = _moved(snapshot, users)
    latest = ibis.window(group_by="user_id", order_by=[ibis.desc("happened_at"), "influenced_id", "subject"])
    placed = moved.mutate(place=(ibis.row_number().over(latest) + 1).cast("int64"))
    return placed.filter(placed.place <= most).select(
        "user_id", "place", "influenced_id", "item_id", "category", "happened_at", "evidence", "weight"
    )


def next_items(snapshot: Snapshot, users: ir.Table, most: int = NEXT_ITEMS) -> ir.Table:
    """The ``most`` items that each of ``users`` had best hand on next, while somebody is left to follow.

    Whoever bought something within the attribution window hands on that: the most (people left x buyers lately) first.
    The others hand on what people followed them to before: their strongest category first, then the most moved. Equal
    ones by follow-ups in the category, on the subject, then what is most worth sharing (`features.items`), the latest, then
    item_id. Nobody is listed without either: see `market_items`.

    Returns:
        user_id              string
        place                int64      1 is the best
        item_id              string
        category             string     of the item, null where not known
        open_people          int64      who may follow and were neither buyers of the subject nor moved to it, >= 1
        people               int64      who may follow: followers by ties, and people moved before
        taken_at             timestamp  when the user bought it, within the window; null for items handed on before
        buyers_lately        int64      people whose first purchase of the subject lies in the window
        moved                int64      people whom the user moved to the subject
        moved_in_category    int64      follow-ups of the user in the category, 0 where not known
    """
    moved = _moved(snapshot, users)
    people = _people(snapshot, users, moved)
    options = _options(snapshot, users, moved)
    done = people.join(_taken(snapshot).semi_join(options, "subject"), "person_id")
    done = done.semi_join(options, ["user_id", "subject"]).group_by("user_id", "subject").agg(done=ibis._.count())
    sizes = people.group_by("user_id").agg(people=people.count())
    on_subject = moved.group_by("user_id", "subject").agg(moved=moved.count())
    rows = options.join(sizes, "user_id").left_join(done, ["user_id", "subject"]).drop("user_id_right", "subject_right")
    rows = rows.left_join(on_subject, ["user_id", "subject"]).drop("user_id_right", "subject_right")
    rows = _with_worth(snapshot, _with_category(snapshot, rows, moved))
    rows = rows.mutate(open_people=rows.people - rows.done.fill_null(0), moved=rows.moved.fill_null(0))
    rows = rows.filter(rows.open_people > 0)
    # People left times buyers lately found what was followed next twice as often as chance, follow-ups in the category no
    # more often than chance; without buyers lately it is the category that tells (docs/decisions.md).
    pull = ibis.ifelse(rows.taken_at.notnull(), rows.open_people * rows.buyers_lately, 0)
    best = ibis.window(
        group_by="user_id",
        order_by=[
            ibis.desc("pull"),
            ibis.desc("moved_in_category"),
            ibis.desc("moved"),
            ibis.desc("worth"),
            ibis.desc("last_at"),
            "item_id",
            "subject",
        ],
    )
    rows = rows.mutate(pull=pull)
    rows = rows.mutate(place=(ibis.row_number().over(best) + 1).cast("int64"))
    return rows.filter(rows.place <= most).select(
        "user_id",
        "place",
        "item_id",
        "category",
        "open_people",
        "people",
        "taken_at",
        "buyers_lately",
        "moved",
        "moved_in_category",
    )


def market_items(snapshot: Snapshot, users: ir.Table, most: int = NEXT_ITEMS) -> ir.Table:
    """The ``most`` items for each of ``users`` of whom `next_items` knows nothing: the best of the market.

    Of the ``BEST_OF_CATEGORY`` items of each category that are most worth sharing (`features.items`), then most taken up
    within the attribution window, those of categories that the person bought from most; then the most worth sharing, the
    most taken up, item_id. Items that nobody took up lately and nobody answered a share of are no choice.

    Returns:
        user_id        string
        place          int64    1 is the best
        item_id        string
        category       string   of the item, null where not known
        open_people    int64    people around who have not bought the subject; 0 where nobody is around
        people         int64    followers by ties, and people moved before
        buyers_lately  int64    people who took up the subject within the window
        worth          float64  purchases that follow one share of it; null where shares tell nothing
    """
    pool = snapshot.engine.materialise(_pool(snapshot))
    people = _people(snapshot, users, _moved(snapshot, users))
    sizes = people.group_by("user_id").agg(people=people.count())
    done = people.join(_taken(snapshot).semi_join(pool, "subject"), "person_id")
    done = done.group_by("user_id", "subject").agg(done=done.count())
    rows = users.select("user_id").distinct().cross_join(pool)
    rows = rows.left_join(sizes, "user_id").drop("user_id_right")
    rows = rows.left_join(done, ["user_id", "subject"]).drop("user_id_right", "subject_right")
    rows = rows.left_join(_taste(snapshot), ["user_id", "category"]).drop("user_id_right", "category_right")
    around = rows.people.fill_null(0)
    rows = rows.mutate(
        people=around,
        open_people=around - rows.done.fill_null(0),
        taste=rows.taste.fill_null(0),
        rank=rows.worth.fill_null(0.0),
    )
    order = [ibis.desc("taste"), ibis.desc("rank"), ibis.desc("buyers_lately"), "item_id"]
    rows = rows.mutate(place=(ibis.row_number().over(ibis.window(group_by="user_id", order_by=order)) + 1).cast("int64"))
    return rows.filter(rows.place <= most).select(
        "user_id", "place", "item_id", "category", "open_people", "people", "buyers_lately", "worth"
    )


def _pool(snapshot: Snapshot) -> ir.Table:
    """(item_id, subject, category, worth, buyers_lately): the best items of each category, one per subject."""
    ledger = since_lookback(snapshot, snapshot["ledger"], "happened_at")
    since = snapshot.as_of - snapshot.time.window
    taken = ledger.filter(ledger.item_id.notnull()).select("subject", "item_id", at="happened_at")
    if "adoptions" in snapshot:
        taken = snapshot["adoptions"].select("subject", "item_id", at="first_at")
    lately = taken.filter(taken["at"] >= since)
    lately = lately.group_by("subject").agg(item_id=lately.item_id.min(), buyers_lately=lately.count())
    rows = _with_worth(snapshot, lately)
    category = ibis.null("string")
    if snapshot.has("items", "category"):
        rows = rows.left_join(snapshot["items"].select("item_id", kind="category"), "item_id").drop("item_id_right")
        category = rows.kind
    rows = rows.mutate(category=category)
    order = [ibis.desc(rows.worth.fill_null(0.0)), ibis.desc(rows.buyers_lately), rows.item_id]
    best = ibis.window(group_by=rows.category.fill_null(""), order_by=order)
    rows = rows.mutate(place=ibis.row_number().over(best))
    return rows.filter(rows.place < BEST_OF_CATEGORY).select("item_id", "subject", "category", "worth", "buyers_lately")


def _taste(snapshot: Snapshot) -> ir.Table:
    """(user_id, category, taste): subjects that each person bought of each category."""
    if "adoptions" not in snapshot or not snapshot.has("items", "category"):
        ledger = snapshot["ledger"].filter(ibis.literal(False))
        return ledger.group_by(user_id="influenced_id", category=ledger.category).agg(taste=ledger.count())
    named = snapshot["adoptions"].join(snapshot["items"].select("item_id", "category"), "item_id")
    return named.group_by("user_id", "category").agg(taste=named.count())


def _with_worth(snapshot: Snapshot, rows: ir.Table) -> ir.Table:
    """``rows`` with ``worth`` of their item; null where shares tell nothing."""
    if not tells_shares(snapshot):
        return rows.mutate(worth=ibis.null("float64"))
    known = share_worth(snapshot).select("item_id", worth="share_worth")
    return rows.left_join(known, "item_id").drop("item_id_right")


def _moved(snapshot: Snapshot, users: ir.Table) -> ir.Table:
    """Ledger rows that moved somebody, of ``users`` as influencers: one per (user_id, influenced_id, subject)."""
    ledger = since_lookback(snapshot, snapshot["ledger"], "happened_at")
    moved = ledger.filter(ledger.weight > 0).rename(user_id="influencer_id")
    return moved.semi_join(users, "user_id")


def _people(snapshot: Snapshot, users: ir.Table, moved: ir.Table) -> ir.Table:
    """(user_id, person_id), distinct: who may follow each of ``users``."""
    before = moved.select("user_id", person_id="influenced_id")
    if "pairs" not in snapshot:
        return before.distinct()
    followers = snapshot["pairs"].select(user_id="influencer_id", person_id="user_id").semi_join(users, "user_id")
    return ibis.union(followers, before, distinct=True)


def _options(snapshot: Snapshot, users: ir.Table, moved: ir.Table) -> ir.Table:
    """(user_id, subject, item_id, last_at, taken_at, buyers_lately): what each of ``users`` could hand on."""
    named = moved.filter(moved.item_id.notnull())
    before = named.group_by("user_id", "subject").agg(item_id=named.item_id.min(), last_at=named.happened_at.max())
    before = before.mutate(taken_at=ibis.null("timestamp(6)"), buyers_lately=ibis.literal(0, "int64"))
    if "adoptions" not in snapshot:
        return before
    adoptions = snapshot["adoptions"]
    fresh = adoptions.filter(adoptions.first_at >= snapshot.as_of - snapshot.time.window)
    lately = fresh.group_by("subject").agg(buyers_lately=fresh.count())
    own = fresh.semi_join(users, "user_id").join(lately, "subject")
    own = own.select("user_id", "subject", "item_id", "buyers_lately", last_at="first_at", taken_at="first_at")
    columns = ["user_id", "subject", "item_id", "last_at", "taken_at", "buyers_lately"]
    return ibis.union(own.select(columns), before.anti_join(own, "user_id").select(columns))


def _taken(snapshot: Snapshot) -> ir.Table:
    """(person_id, subject), distinct: what people bought or were moved to, in all history."""
    ledger = snapshot["ledger"]
    moved = ledger.select("subject", person_id="influenced_id")
    if "adoptions" not in snapshot:
        return moved.distinct()
    return ibis.union(snapshot["adoptions"].select("subject", person_id="user_id"), moved.select("subject", "person_id"),
                      distinct=True)  # fmt: skip


def _with_category(snapshot: Snapshot, rows: ir.Table, moved: ir.Table) -> ir.Table:
    """``rows`` with the category of their item and the follow-ups of their user in it."""
    if not snapshot.has("items", "category"):
        return rows.mutate(category=ibis.null("string"), moved_in_category=ibis.literal(0, "int64"))
    items = snapshot["items"]
    rows = rows.left_join(items.select("item_id", "category"), "item_id").drop("item_id_right")
    strong = moved.group_by("user_id", "category").agg(moved_in_category=moved.count())
    rows = rows.left_join(strong, ["user_id", "category"]).drop("user_id_right", "category_right")
    return rows.mutate(moved_in_category=rows.moved_in_category.fill_null(0))
