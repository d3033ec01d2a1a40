"""Customer lifetime value: what each buyer is expected to spend within the next year, from when and how much they bought.

The number of purchases is that of the modified beta-geometric / negative binomial model (Batislam, Denizel and Filiztekin,
International Journal of Research in Marketing 2007; Hoppe and Wagner 2007): people buy at random moments at a rate of their
own and may leave after any purchase, the first included. The amount is that of the gamma-gamma model (Fader and Hardie
2013): each purchase varies around a mean of the person's own. Both are fitted to all buyers at the date itself, without
labels, so that they need no years of history and nothing in a bundle; docs/value.md holds how they fared.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1

from features.ledger import net_amount
from features.local_time import to_local
from features.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

HORIZON_DAYS = 365.0
"""The time that `lifetime_value` reaches ahead."""

DAY_S = 86_400
MOST_FITTED = 10_000
"""Buyers whom the seven parameters are learned from."""

RIDGE = 1e-4
"""Penalty on the squared logarithm of each parameter, which keeps those that the data leave open in sight."""


@dataclass(frozen=True)
class Buyers:
    """Purchases of each buyer, in days of the dataset's zone on which anything was bought.

    ``users``: (N,) ids, ascending. ``repeats``: (N,) days after the first. ``last``: (N,) days from the first to the last.
    ``age``: (N,) days from the first to the date, >= ``last``. ``mean``: (N,) minor units a day with a price, nan without
    any. ``priced``: (N,) days with a net amount above 0.
    """

    users: npt.NDArray[np.object_]
    repeats: Floats
    last: Floats
    age: Floats
    mean: Floats
    priced: Floats


@dataclass(frozen=True)
class PurchaseRate:
    """Rates are gamma (``r``, ``alpha`` in days), chances to leave after a purchase beta (``a``, ``b``)."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, buyers: Buyers) -> Floats:
        """(N,) probability that a buyer has not left, 0 to 1."""
        fading = ((self.alpha + buyers.age) / (self.alpha + buyers.last)) ** (self.r + buyers.repeats)
        alive: Floats = 1 / (1 + self.a / (self.b + buyers.repeats) * fading)
        return alive

    def expected(self, buyers: Buyers, days: float) -> Floats:
        """(N,) days with a purchase within the next ``days``, >= 0: Hoppe and Wagner, equation 15."""
        a, b, shape = self.a, self.b, self.r + buyers.repeats
        # The closed form has no value at 1, and is smooth around it.
        a = a if abs(a - 1) > 1e-4 else 1 + 1e-4
        seen = self.alpha + buyers.age
        hyper = hyp2f1(shape, b + buyers.repeats + 1, a + b + buyers.repeats, days / (seen + days))
        while_alive = (a + b + buyers.repeats) / (a - 1) * (1 - (seen / (seen + days)) ** shape * hyper)
        # Where the closed form leaves the range of floats (after hundreds of purchases) hardly anybody leaves.
        rate = shape / seen * days
        while_alive = np.where(np.isfinite(while_alive), np.clip(while_alive, 0, rate), rate)
        return self.alive(buyers) * while_alive


@dataclass(frozen=True)
class Spending:
    """Gamma-gamma: purchases are gamma (``p``) around a mean whose scale is gamma (``q``, ``v`` in minor units)."""

    p: float
    q: float
    v: float

    def expected(self, buyers: Buyers) -> Floats:
        """(N,) minor units a purchase: a person's own mean, held against that of all."""
        own = np.where(buyers.priced > 0, np.nan_to_num(buyers.mean) * buyers.priced, 0.0)
        found: Floats = self.p * (self.v + own) / np.maximum(self.p * buyers.priced + self.q - 1, 1e-9)
        return found


def lifetime_value(snapshot: Snapshot, days: float = HORIZON_DAYS) -> pa.Table:
    """What each buyer is expected to spend within ``days``, not discounted.

    user_id         string
    lifetime_value  float64  minor units, net of refunds known so far, >= 0
    """
    buyers = read_buyers(snapshot)
    if not (buyers.priced > 0).any():
        return pa.table({"user_id": pa.array([], pa.string()), "lifetime_value": pa.array([], pa.float64())})
    rate, spending = fit_purchase_rate(buyers), fit_spending(buyers)
    value = rate.expected(buyers, days) * spending.expected(buyers)
    return pa.table({"user_id": pa.array(buyers.users, pa.string()), "lifetime_value": value})


def read_buyers(snapshot: Snapshot) -> Buyers:
    """Everybody who ordered before the date."""
    orders = snapshot["orders"]
    local = to_local(orders.ordered_at, snapshot.source.dataset.zone, snapshot.as_of)
    dated = orders.select(
        "user_id", "ordered_at", net=net_amount(orders), day=(local.truncate("D").epoch_seconds() // DAY_S)
    )
    days = dated.group_by("user_id", "day").agg(net=dated.net.sum().cast("int64"), at=dated.ordered_at.min())
    first_and_last = days.group_by("user_id").agg(
        days=days.count(),
        first=days.day.min(),
        last=days.day.max(),
        first_at=days["at"].min(),
        paid=days.net.sum(where=days.net > 0).fill_null(0).cast("int64"),
        priced=days.count(where=days.net > 0),
    )
    counted = first_and_last.mutate(age=snapshot.days_before(first_and_last.first_at)).drop("first_at")
    rows = snapshot.engine.to_arrow(counted).sort_by("user_id")
    number = {name: rows[name].to_numpy().astype(float) for name in rows.column_names if name != "user_id"}
    last = number["last"] - number["first"]
    mean = np.divide(number["paid"], number["priced"], out=np.full(len(rows), np.nan), where=number["priced"] > 0)
    age = np.maximum(number["age"], last)
    return Buyers(rows["user_id"].to_numpy(), number["days"] - 1, last, age, mean, number["priced"])


def fit_purchase_rate(buyers: Buyers) -> PurchaseRate:
    """The parameters under which what was seen of up to ``MOST_FITTED`` buyers is likeliest."""
    some = _some(len(buyers.users))
    repeats, last, age = buyers.repeats[some], buyers.last[some], buyers.age[some]

    def loss(logs: Floats) -> float:
        r, alpha, a, b = np.exp(logs)
        known = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
        known += gammaln(a + b) - gammaln(b) - gammaln(a + b + repeats + 1)
        there = gammaln(b + repeats + 1) - (r + repeats) * np.log(alpha + age)
        gone = np.log(a) + gammaln(b + repeats) - (r + repeats) * np.log(alpha + last)
        likely = known + np.logaddexp(there, gone)
        return float(-likely.mean() + RIDGE * (logs**2).sum())

    start = np.log([1.0, max(float(np.median(age)), 1.0), 1.0, 2.0])
    bounds = [(-7, 7), (-3, 12), (-7, 7), (-7, 7)]
    r, alpha, a, b = np.exp(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)
    return PurchaseRate(float(r), float(alpha), float(a), float(b))


def fit_spending(buyers: Buyers) -> Spending:
    """The parameters under which the mean amounts of up to ``MOST_FITTED`` buyers with a price are likeliest."""
    known = np.flatnonzero(buyers.priced > 0)
    some = known[_some(len(known))]
    priced, mean = buyers.priced[some], buyers.mean[some]
    # In units of the mean of all, so that parameters are near 1 in any currency.
    unit = float(mean.mean())
    scaled = mean / unit

    def loss(logs: Floats) -> float:
        p, q, v = np.exp(logs)
        likely = gammaln(p * priced + q) - gammaln(p * priced) - gammaln(q) + q * np.log(v)
        likely += (
            (p * priced - 1) * np.log(scaled) + p * priced * np.log(priced) - (p * priced + q) * np.log(v + priced * scaled)
        )
        return float(-likely.mean() + RIDGE * (logs**2).sum())

    bounds = [(-7, 7), (np.log(1.001), 7), (-7, 12)]
    p, q, v = np.exp(minimize(loss, np.log([1.0, 3.0, 2.0]), method="L-BFGS-B", bounds=bounds).x)
    return Spending(float(p), float(q), float(v) * unit)


def _some(count: int) -> npt.NDArray[np.int64]:
    """Places of up to ``MOST_FITTED`` of ``count``, evenly spread: users are in the order of their ids."""
    return np.arange(count) if count <= MOST_FITTED else np.linspace(0, count - 1, MOST_FITTED).astype(np.int64)
