"""What people did: accepted, declined, shared or converted, each record kept once."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from serving.access.audit import Audit
from serving.access.principal import Principal
from serving.outreach.people import People
from serving.outreach.posted import Amount, Known, Moment, Posted, Record, Why, take
from serving.state.database import Database
from serving.state.tables import outcomes


class Did(StrEnum):
    """What a person did."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    SHARED = "shared"
    CONVERTED = "converted"


class Outcome(Record):
    """What one person did, contacted or held out: the comparison needs both."""

    moment_of: ClassVar[str] = "happened_at"

    outcome: Did
    amount: Amount | None = Field(None, description="Of a conversion: minor units of the dataset's currency.")
    happened_at: Moment | None = Field(None, description="By default now.")


class Outcomes:
    """The outcomes kept in one operations database."""

    def __init__(self, database: Database, people: People) -> None:
        self.database = database
        self.people = people
        self.audit = Audit(database)

    def record(
        self,
        principal: Principal,
        records: Sequence[Outcome],
        *,
        idempotency_key: str | None = None,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> Posted:
        """Keep the records that can be kept and say why the others cannot, in one transaction."""
        now = now or datetime.now(UTC)

        def row(record: Outcome) -> Mapping[str, Any]:
            return {
                "list_id": record.list_id,
                "campaign_id": record.campaign,
                "user_id": record.user_id,
                "outcome": record.outcome,
                "amount": record.amount,
                "happened_at": record.happened_at or now,
            }

        with self.database.alone("outcomes") as connection:
            known = Known.of(connection, self.people, principal, records, now)
            posted = take(connection, outcomes, records, idempotency_key, known, row=row, judge=_amount_without_purchase)
            self.audit.write(
                principal,
                "outcomes.create",
                posted.campaigns,
                criteria=posted.to_dict(),
                rows=posted.accepted,
                request_id=request_id,
                connection=connection,
                now=now,
            )
        return posted


def _amount_without_purchase(record: Outcome) -> Why | None:
    if record.amount is None or record.outcome is Did.CONVERTED:
        return None
    return "amount_without_purchase", f"only a conversion has an amount, not {record.outcome}; leave it out"
