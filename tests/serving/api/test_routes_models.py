from datetime import datetime
from typing import Any

import pytest

from features.errors import TrackingError
from serving.api.services import Services
from tests.serving.api.conftest import Caller
from training.tracking import Version


class Registry:
    """Stands for MLflow, which takes seconds to load."""

    def versions(self) -> list[Version]:
        return [Version("koc", 2, ("challenger",), "r2", datetime(2024, 5, 31), {"koc/hybrid/auroc": 0.8})]


def given(services: Services, registry: Any) -> None:
    vars(services)["tracker"] = registry


def test_versions_come_with_aliases_and_metrics(caller: Caller, plain_services: Services) -> None:
    given(plain_services, Registry())
    assert caller("read").get("/v1/models").json() == {
        "models": [
            {
                "name": "koc", "version": 2, "aliases": ["challenger"], "created": "2024-05-31T00:00:00Z", "run_id": "r2",
                "metrics": {"koc/hybrid/auroc": 0.8},
            }
        ]
    }  # fmt: skip


def test_a_registry_that_does_not_answer_is_a_problem(
    caller: Caller, plain_services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: Registry) -> None:
        raise TrackingError("cannot look up koc: connection refused; check the tracking URI")

    monkeypatch.setattr(Registry, "versions", gone)
    given(plain_services, Registry())
    answer = caller("read").get("/v1/models")
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
