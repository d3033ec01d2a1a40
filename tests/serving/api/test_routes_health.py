from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from serving.api.app import create_app
from serving.api.services import Services
from tests.serving.api.conftest import Caller
from tests.serving.batches import write_random


def test_without_scores_the_process_is_alive_and_not_ready(caller: Caller, plain_services: Services) -> None:
    client = caller()
    assert client.get("/healthz").json() == {"status": "alive"}
    answer = client.get("/readyz")
    assert answer.status_code == 503
    told = answer.json()
    assert (told["ready"], told["database"]) == (False, None)
    assert told["scores"] == "there are no scores; make some with `koc score`"
    plain_services.settings.scores.mkdir()
    (plain_services.settings.scores / "current").write_text("..")
    told = client.get("/readyz").json()
    assert told["scores"].startswith("the scores cannot be read")
    assert str(plain_services.settings.home) not in str(told)


def test_with_scores_and_a_database_it_is_ready(caller: Caller, plain_services: Services) -> None:
    write_random(plain_services.settings.scores, users=20)
    answer = caller().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "database": None, "scores": None})


@pytest.fixture
def without_database(plain_services: Services) -> Iterator[FastAPI]:
    def refuse(*_: object) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, ConnectionError("secret address"))

    sa.event.listen(plain_services.database.engine, "engine_connect", refuse)
    yield create_app(plain_services.settings, plain_services)
    sa.event.remove(plain_services.database.engine, "engine_connect", refuse)


def test_a_database_that_does_not_answer_is_named_and_not_described(
    plain_services: Services, caller: Caller, without_database: FastAPI
) -> None:
    write_random(plain_services.settings.scores, users=20)
    client = caller()
    client._transport.app = without_database
    told = client.get("/readyz").json()
    assert (
        told["database"]
        == "the operations database does not answer (ConnectionError); check that it runs and KOC_DATABASE_URL"
    )
    assert (told["ready"], told["scores"]) == (False, None)


def test_metrics_tell_the_rows_and_the_age_of_the_batch(caller: Caller, plain_services: Services) -> None:
    write_random(plain_services.settings.scores, users=20)
    text = caller("read").get("/metrics").text
    assert "koc_batch_rows 20.0" in text
    age = next(float(line.split()[1]) for line in text.splitlines() if line.startswith("koc_batch_age_seconds "))
    assert age > 86_400


def test_while_the_database_is_away_requests_are_told_so_and_known_keys_see_the_other_metrics(
    plain_services: Services, caller: Caller, without_database: FastAPI
) -> None:
    write_random(plain_services.settings.scores, users=20)
    client = caller()
    client._transport.app = without_database
    plain_services.keys._needed_at = -2.0
    refused = client.get("/v1/audit")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:koc:database")
    assert "secret address" not in refused.text
    plain_services.keys._needed_at = float("inf")
    answer = client.get("/metrics")
    assert (answer.status_code, "koc_batch_rows 20.0" in answer.text) == (200, True)
