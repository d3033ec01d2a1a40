"""An API on an empty SQLite home, and callers with and without keys."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from serving.access.keys import Keys
from serving.api.app import create_app
from serving.api.services import Services
from serving.settings import ServiceSettings
from tests.databases import NewDatabase

Caller = Callable[..., TestClient]
"""Makes a client: ``caller("read", ...)`` with a key of these scopes, ``caller()`` without one, from this machine."""


@pytest.fixture
def plain_settings(tmp_path: Path, new_sqlite: NewDatabase) -> ServiceSettings:
    return ServiceSettings(home=tmp_path, database_url=new_sqlite(), requests_per_minute=100)


@pytest.fixture
def plain_services(plain_settings: ServiceSettings) -> Iterator[Services]:
    opened = Services.open(plain_settings)
    yield opened
    opened.database.close()


@pytest.fixture
def app(plain_services: Services) -> FastAPI:
    return create_app(plain_services.settings, plain_services)


@pytest.fixture
def caller(app: FastAPI, plain_services: Services) -> Caller:
    def make(*scopes: str, host: str = "127.0.0.1", at: str = "http://127.0.0.1:8000") -> TestClient:
        client = TestClient(app, base_url=at, client=(host, 50_000))
        if scopes:
            text, _ = Keys(plain_services.database).create(" ".join(scopes), scopes)
            client.headers["Authorization"] = f"Bearer {text}"
        return client

    return make
