"""A store of random users, and the services over it and an empty operations database."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from serving.lists.criteria import ListCriteria
from serving.lists.exports import Exports
from serving.lists.lists import Lists
from serving.lists.members import Members
from serving.lists.pages import Pages
from serving.lists.why import Eligibility
from serving.lists.worklists import Worklists
from serving.settings import ServiceSettings
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.serving.batches import write_random, write_users

NOW = datetime(2024, 6, 2, 9, tzinfo=UTC)


@dataclass(frozen=True)
class Room:
    """All services of lists over one store and one database."""

    store: ScoreStore
    database: Database
    served: Served
    lists: Lists
    pages: Pages
    members: Members
    worklists: Worklists
    exports: Exports
    eligibility: Eligibility


def room_of(store: ScoreStore, database: Database) -> Room:
    served = Served(store, patience=0.0)
    lists = Lists(database, served, ServiceSettings(home=store.folder))
    pages = Pages(lists)
    members = Members(pages)
    return Room(
        store, database, served, lists, pages, members, Worklists(members), Exports(pages), Eligibility(lists, store)
    )


def criteria(size: int = 10, **more: Any) -> ListCriteria:
    return ListCriteria.model_validate({"size": size} | more)


@pytest.fixture(scope="session")
def random_store(tmp_path_factory: pytest.TempPathFactory) -> ScoreStore:
    """200 users; tests that write to the store make their own."""
    return write_random(tmp_path_factory.mktemp("random"), users=200)


@pytest.fixture
def room(random_store: ScoreStore, database: Database) -> Room:
    return room_of(random_store, database)


@pytest.fixture
def by_hand(tmp_path: Path, database: Database) -> Callable[..., Room]:
    """Makes a room of users given one by one, best first."""

    def make(users: list[dict[str, Any]], **more: Any) -> Room:
        store = ScoreStore(tmp_path / "scores")
        write_users(store, users, **more)
        return room_of(store, database)

    return make


def ties(*pairs: tuple[str, str]) -> pa.Table:
    """Ties of (influencer, follower)."""
    ordered = sorted(pairs)
    return pa.table(
        {
            "user_id": pa.array([follower for _, follower in ordered], pa.string()),
            "influencer_id": pa.array([influencer for influencer, _ in ordered], pa.string()),
            "expected_follow_ups": pa.array([0.5] * len(ordered), pa.float32()),
            "strength": pa.array([1.0] * len(ordered), pa.float32()),
        }
    )
