"""Requests made up from the OpenAPI document, right and wrong ones: every answer is as the document says."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PhasesConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
    StatefulPhaseConfig,
)
from schemathesis.engine import events, from_schema

from serving.access.keys import Keys
from serving.access.principal import Principal
from serving.api.app import create_app
from serving.api.services import Services
from serving.live import LiveScores
from serving.settings import ServiceSettings
from tests.databases import NewDatabase
from tests.serving.batches import write_random
from training.tracking import Version

EXAMPLES = 3
"""Requests made up by chance for each operation and kind, besides those at the edges of every value."""

UNDERSTOOD = ("2xx", "401", "403", "404", "409", "422", "429")
"""Answers to well-formed requests: 422 too, since a batch decides which columns, values and people there are."""


class Registry:
    """Stands for MLflow, which takes seconds to load."""

    def versions(self) -> list[Version]:
        return [Version("koc", 2, ("challenger",), "r2", datetime(2024, 5, 31), {"koc/hybrid/auroc": 0.8})]


class NobodyLive:
    """Stands for fresh scores, which need a dataset and a model: knows nobody."""

    def score(self, user_ids: list[str], principal: Principal, **asked: Any) -> LiveScores:  # noqa: ARG002
        unknown = [{"user_id": user, "reason": "no act"} for user in user_ids]
        return LiveScores(datetime(2024, 6, 1, tzinfo=UTC), "koc/1", None, None, None, [], unknown)


@pytest.fixture
def services(tmp_path: Path, new_sqlite: NewDatabase) -> Iterator[Services]:
    settings = ServiceSettings(
        home=tmp_path, dataset=tmp_path / "dataset.toml", database_url=new_sqlite(), requests_per_minute=10**9
    )
    write_random(settings.scores, users=50)
    opened = Services.open(settings)
    vars(opened).update(tracker=Registry(), live=NobodyLive())
    yield opened
    opened.database.close()


def test_every_answer_is_as_the_document_says(services: Services) -> None:
    text, _ = Keys(services.database).create("everything", ["admin", "identify"])
    app = create_app(services.settings, services)
    failures, requests = _tried(app, {"Authorization": f"Bearer {text}"})
    assert not failures, "\n\n".join(f"{where}: {what}" for where, what in failures.items())
    # Each of some 40 operations was asked many times.
    assert requests > 1_000


def _tried(app: FastAPI, headers: dict[str, str]) -> tuple[dict[str, str], int]:
    """Operation and check -> the first failure of it; and how many requests were made."""
    project = ProjectConfig(
        headers=headers,
        continue_on_failure=True,
        generation=GenerationConfig(max_examples=EXAMPLES, deterministic=True, database="none"),
        phases=PhasesConfig(stateful=StatefulPhaseConfig(enabled=False)),
        checks=ChecksConfig(positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=UNDERSTOOD)),
    )
    config = SchemathesisConfig(seed=1, projects=ProjectsConfig(default=project))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    failures: dict[str, str] = {}
    requests = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            failures[str(event)] = "the run itself failed"
        if not isinstance(event, events.ScenarioFinished):
            continue
        for checks in event.recorder.checks.values():
            requests += 1
            for check in checks:
                if check.failure_info is not None:
                    found = check.failure_info
                    failures.setdefault(
                        f"{event.recorder.label}, {check.name}", f"{found.failure.message}\n{found.code_sample}"
                    )
    return failures, requests
