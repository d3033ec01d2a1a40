"""What the people of a list did afterwards, contacted and held out, and the difference with its interval."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from serving.access.principal import Principal
from serving.lists.build import COMMUNITY
from serving.lists.holdout import CONTACT, HOLDOUT, unit_of
from serving.lists.lists import CandidateList, Lists
from serving.outreach.intervals import Difference, clustered, means, proportions
from serving.outreach.outcomes import Did
from serving.state.database import Database
from serving.state.tables import outcomes, outreach

if TYPE_CHECKING:
    import pandas as pd

WEEK = timedelta(days=7)
MOST_WEEKS = 52
AMOUNT = "amount_per_person"
FEW_COMMUNITIES = 20
"""Below so many in an arm a percentile bootstrap is known to be too narrow."""


@dataclass(frozen=True)
class ArmResults:
    """All members of one arm, whether contacted or not.

    people      int               members
    contacted   int               of them, those with a contact of this list
    did         name -> int       people who did so at least once
    rate        name -> 0 to 1    did / people
    amount      int               of their conversions, minor units
    amount_per_person  float      minor units, over all people
    """

    people: int
    contacted: int
    did: Mapping[str, int]
    rate: Mapping[str, float]
    amount: int
    amount_per_person: float


@dataclass(frozen=True)
class WeekResults:
    """One week after the list was made: arm -> people who did so for the first time, and ``amount``, minor units."""

    week: int
    starts_at: datetime
    arms: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class Results:
    """``differences``: rate or amount of those to contact minus those held out, 95 % intervals; empty without a holdout.

    ``unit``: what was assigned to an arm, and so what intervals count: person or community. ``cost``: of contacts, minor
    units. ``cost_per_additional_conversion``: over conversions beyond what the holdout's rate would give; None unless
    there are any. ``notes``: what to know before believing the numbers.
    """

    list_id: str
    at: datetime
    analysis: str
    unit: str
    arms: Mapping[str, ArmResults]
    differences: Mapping[str, Difference]
    weeks: tuple[WeekResults, ...]
    cost: int
    cost_per_conversion: float | None
    cost_per_additional_conversion: float | None
    notes: tuple[str, ...]


ANALYSIS = "intention to treat: everybody counts in the arm that the list assigned, whether contacted or not"


class ListResults:
    """Results of lists, from the outcomes posted."""

    def __init__(self, database: Database, lists: Lists) -> None:
        self.database = database
        self.lists = lists

    def of(self, principal: Principal, list_id: str, *, now: datetime | None = None) -> Results:
        """What the members did from when the list was made to ``now``, of those whom the principal sees.

        Raises:
            NotFoundError: no such list.
        """
        now = now or datetime.now(UTC)
        record = self.lists.get(principal, list_id)
        people = self._people(principal, record)
        acts, contacts = self._happened(record, now)
        acts = acts[acts["user_id"].isin(people.index)]
        before = acts["happened_at"] < record.created_at
        notes = [f"{before.sum():,} outcomes from before the list was made are left out"] if before.any() else []
        acts = acts[~before]
        contacts = contacts[contacts["user_id"].isin(people.index)]
        for did in Did:
            people[did] = people.index.isin(acts["user_id"][acts["outcome"] == did])
        people["amount"] = acts.groupby("user_id")["amount"].sum().reindex(people.index).fillna(0)
        people["contacted"] = people.index.isin(contacts["user_id"])
        arms = {str(arm): _arm(rows) for arm, rows in people.groupby("arm")}
        unit = "community" if (people["unit"] != [unit_of(user, None) for user in people.index]).any() else "person"
        differences, cautions = _differences(people, arms, unit)
        contacted = contacts[contacts["user_id"].map(people["arm"]) == CONTACT]
        cost = int(contacted["cost"].sum())
        converted = arms[CONTACT].did[Did.CONVERTED] if CONTACT in arms else 0
        more = differences[Did.CONVERTED].value * arms[CONTACT].people if differences else 0.0
        return Results(
            list_id=list_id,
            at=now,
            analysis=ANALYSIS,
            unit=unit,
            arms=arms,
            differences=differences,
            weeks=_weeks(acts, people["arm"], record.created_at, now),
            cost=cost,
            cost_per_conversion=cost / converted if converted else None,
            cost_per_additional_conversion=cost / more if more > 0 else None,
            notes=(*notes, *cautions),
        )

    def _people(self, principal: Principal, record: CandidateList) -> "pd.DataFrame":
        """Members whom the principal sees, by user_id: ``arm`` and ``unit``."""
        import pandas as pd

        payload = self.lists.payload(record)
        columns = ["user_id", "arm", *([COMMUNITY] if COMMUNITY in payload.columns else [])]
        rows = payload.table(columns).to_pandas()[self.lists.inside(principal, record)]
        communities = rows[COMMUNITY] if COMMUNITY in rows else [None] * len(rows)
        rows["unit"] = [
            unit_of(user, None if pd.isna(community) else community)
            for user, community in zip(rows["user_id"], communities, strict=True)
        ]
        people: pd.DataFrame = rows.set_index("user_id")[["arm", "unit"]]
        return people

    def _happened(self, record: CandidateList, now: datetime) -> "tuple[pd.DataFrame, pd.DataFrame]":
        """Outcomes and contacts of the list until ``now``."""
        import pandas as pd

        did = sa.select(outcomes.c.user_id, outcomes.c.outcome, outcomes.c.amount, outcomes.c.happened_at).where(
            outcomes.c.list_id == record.list_id, outcomes.c.happened_at <= now
        )
        made = sa.select(outreach.c.user_id, outreach.c.cost).where(
            outreach.c.list_id == record.list_id, outreach.c.contacted_at <= now
        )
        with self.database.read() as connection:
            acts = connection.execute(did).all()
            contacts = connection.execute(made).all()
        found = pd.DataFrame(acts, columns=["user_id", "outcome", "amount", "happened_at"])
        found["happened_at"] = pd.to_datetime(found["happened_at"], utc=True)
        found["amount"] = found["amount"].fillna(0).astype("int64")
        costs = pd.DataFrame(contacts, columns=["user_id", "cost"])
        return found, costs.assign(cost=costs["cost"].fillna(0).astype("int64"))


def _arm(rows: "pd.DataFrame") -> ArmResults:
    did = {str(name): int(rows[name].sum()) for name in Did}
    people, amount = len(rows), int(rows["amount"].sum())
    rate = {name: count / people for name, count in did.items()}
    return ArmResults(people, int(rows["contacted"].sum()), did, rate, amount, amount / people)


def _differences(
    people: "pd.DataFrame", arms: Mapping[str, ArmResults], unit: str
) -> tuple[dict[str, Difference], list[str]]:
    """By outcome and for the amount, and what to know of them."""
    notes = []
    held, treated = arms.get(HOLDOUT), arms.get(CONTACT)
    if held is None or treated is None:
        absent = "nobody was held out" if held is None else "nobody was to be contacted"
        return {}, [f"{absent}, so what contact changed cannot be told; make the next list with a holdout, such as 0.1"]
    if held.contacted:
        notes.append(f"{held.contacted:,} people held out were contacted nevertheless; the difference is too small for it")
    if treated.contacted < treated.people:
        notes.append(
            f"{treated.people - treated.contacted:,} of {treated.people:,} people to contact have no contact posted; "
            "they count as the list assigned them"
        )
    groups = [people[people["arm"] == arm] for arm in (CONTACT, HOLDOUT)]
    if unit == "person":
        both = {str(did): (treated.did[did], held.did[did]) for did in Did}
        found = {name: proportions(counts, (treated.people, held.people)) for name, counts in both.items()}
        found[AMOUNT] = means(*(group["amount"] for group in groups))
    else:
        names = [*map(str, Did), AMOUNT]
        one, two = (_by_unit(group) for group in groups)
        found = dict(zip(names, clustered(one, two), strict=True))
        fewest = min(len(one[1]), len(two[1]))
        if fewest < FEW_COMMUNITIES:
            notes.append(f"one arm has {fewest} communities only: intervals over so few are too narrow, or missing")
        if alike := [name for name in names if found[name].low is None and fewest > 1]:
            notes.append(f"no interval for {', '.join(alike)}: all communities did alike, so that nothing can be told yet")
    if found[AMOUNT].low is None and unit == "person":
        notes.append("amounts have no interval: an arm has one person only, or all amounts are equal")
    return found, notes


def _by_unit(group: "pd.DataFrame") -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    by = group.groupby("unit")
    sums = by[[*Did, "amount"]].sum()
    return np.asarray(sums, dtype=np.float64), np.asarray(by.size(), dtype=np.float64)


def _weeks(acts: "pd.DataFrame", arm: "pd.Series", start: datetime, now: datetime) -> tuple[WeekResults, ...]:
    """The first ``MOST_WEEKS`` weeks up to ``now``."""
    past = min(MOST_WEEKS, max(1, -(-(now - start) // WEEK)))
    acts = acts.assign(arm=acts["user_id"].map(arm), week=(acts["happened_at"] - start) // WEEK)
    first = acts.sort_values("happened_at").drop_duplicates(["user_id", "outcome"])
    did = first.groupby(["week", "arm", "outcome"]).size()
    amount = acts.groupby(["week", "arm"])["amount"].sum()
    return tuple(
        WeekResults(
            week + 1,
            start + week * WEEK,
            {
                str(name): {
                    **{str(kind): int(did.get((week, name, kind), 0)) for kind in Did},
                    "amount": int(amount.get((week, name), 0)),
                }
                for name in sorted(arm.unique())
            },
        )
        for week in range(past)
    )
