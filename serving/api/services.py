"""What the API is made of: one of each service, opened once and passed on."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from serving.access.audit import Audit
from serving.access.keys import Keys
from serving.cards import Cards
from serving.live import Live
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
        return cls(
            settings,
            database,
            Keys(database),
            Audit(database),
            served,
            Cards(served, database),
            Live(settings, served, database),
        )


async def _services(request: Request) -> Services:
    found: Services = request.app.state.services
    return found


Given = Annotated[Services, Depends(_services)]
"""The services, as a parameter of a route."""
