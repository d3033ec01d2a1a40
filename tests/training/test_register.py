import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Scored
from training.bundle import Bundle
from training.pipeline import Trained
from training.register import register


def run_of(scored: Scored, version: int) -> Any:
    return scored.tracker._client.get_run(scored.tracker.find(version).run_id)


def artifacts(scored: Scored, version: int) -> Path:
    return scored.home / "mlartifacts" / scored.tracker.find(version).run_id / "artifacts"


def test_a_run_holds_settings_metrics_per_date_and_evidence(trained: Trained, scored: Scored) -> None:
    run = run_of(scored, 1)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "simulated-market as of 2024-07-18"
    assert run.data.tags["fingerprint"] == trained.bundle.fingerprint
    assert run.data.params["horizon_days"] == "42"
    assert run.data.params["rounds"] == "30"
    assert run.data.params["training_dates"] == ", ".join(f"{fold.as_of:%Y-%m-%d}" for fold in trained.folds)
    values = {(r.as_of, r.model, r.metric): r.value for r in trained.records if not r.minus}
    date = next(as_of for as_of, _, _ in values if as_of != "pooled")
    for as_of in (date, "pooled"):
        logged = run.data.metrics[f"koc/lightgbm/average_precision/{as_of}"]
        assert logged == pytest.approx(values[as_of, "lightgbm", "average_precision"])
    assert f"churn/recency/auroc/{date}" in run.data.metrics
    folder = artifacts(scored, 1)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "records.json", "features.json", "ranker-importance.png", "churn-importance.png", "churn-reliability.png", "bundle"
    }  # fmt: skip
    assert trained.bundle.ranker
    assert json.loads((folder / "features.json").read_text()) == list(trained.bundle.ranker.columns)


def test_the_first_version_serves_and_later_ones_challenge(trained: Trained, scored: Scored, tmp_path: Path) -> None:
    assert scored.tracker.find("champion").version == 1
    only_churn = replace(
        trained, bundle=replace(trained.bundle, ranker=None), evaluations={"koc": [], "churn": trained.evaluations["churn"]}
    )
    version = register(only_churn, scored.tracker)
    assert scored.tracker.find("challenger").version == version > 1
    assert scored.tracker.find("champion").version == 1
    assert {path.name for path in artifacts(scored, version).iterdir()} == {
        "records.json", "features.json", "churn-importance.png", "churn-reliability.png", "bundle"
    }  # fmt: skip
    assert Bundle.load(scored.tracker.download("challenger", tmp_path / "bundle")).ranker is None
