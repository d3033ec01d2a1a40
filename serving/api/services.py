"""What the API is made of: one of each service, opened once and passed on."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

import structlog
from fastapi import Depends, Request

from serving.access.audit import Audit
from serving.access.keys import Keys
from serving.cards import Cards
from serving.jobs.jobs import Jobs
from serving.jobs.queue import Queue
from serving.jobs.work import KINDS
from serving.lists.exports import Exports
from serving.lists.lists import Lists
from serving.lists.members import Members
from serving.lists.pages import Pages
from serving.lists.previews import Previews
from serving.lists.why import Eligibility
from serving.lists.worklists import Worklists
from serving.live import Live
from serving.outreach.applications import Applications
from serving.outreach.erasures import Erasures
from serving.outreach.outcomes import Outcomes
from serving.outreach.outreach import Outreach
from serving.outreach.people import People
from serving.outreach.results import ListResults
from serving.outreach.roster import Roster
from serving.outreach.suppressions import Suppressions
from serving.settings import ServiceSettings
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from serving.store.served import Served

if TYPE_CHECKING:
    from training.tracking import Tracker


@dataclass(frozen=True)
class Services:
    """The services of one process, sharing one database."""

    settings: ServiceSettings
    database: Database
    keys: Keys
    audit: Audit
    served: Served
    cards: Cards
    live: Live
    previews: Previews
    lists: Lists
    pages: Pages
    members: Members
    worklists: Worklists
    exports: Exports
    eligibility: Eligibility
    outreach: Outreach
    outcomes: Outcomes
    results: ListResults
    suppressions: Suppressions
    erasures: Erasures
    roster: Roster
    applications: Applications
    jobs: Jobs

    @cached_property
    def tracker(self) -> "Tracker":
        """The registry; its libraries are loaded when it is first asked, which takes seconds."""
        from training.tracking import Tracker

        return Tracker(self.settings.tracking_uri, self.settings.home)

    @classmethod
    def open(cls, settings: ServiceSettings) -> "Services":
        """Raises:
        StateError: the operations database cannot be opened.
        """
        database, served = Database(settings.operations_url), Served(ScoreStore(settings.scores))
        lists, people = Lists(database, served, settings), People(served)
        pages = Pages(lists)
        members = Members(pages)
        return cls(
            settings,
            database,
            Keys(database),
            Audit(database),
            served,
            Cards(served, database),
            Live(settings, served, database),
            Previews(database),
            lists,
            pages,
            members,
            Worklists(members),
            Exports(pages),
            Eligibility(lists, served.store),
            Outreach(database, people, settings.contacts_per_month),
            Outcomes(database, people),
            ListResults(database, lists),
            Suppressions(database, people),
            Erasures(database, settings.dataset),
            Roster(database, people),
            Applications(database, people),
            Jobs(database, KINDS, Queue(settings, _warn).ring),
        )


def _warn(text: str) -> None:
    structlog.get_logger().warning("queue", trouble=text)


async def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(_services)]
"""The services, as a parameter of a route."""


async def _request_id(request: Request) -> str | None:
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


RequestId = Annotated[str | None, Depends(_request_id)]
"""The id of the request, for the audit log."""
