import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.conftest import Scored
from training.bundle import Bundle
from training.extras.contract import Extras
from training.pipeline import Trained
from training.register import log_backtest, register
from training.tracking import Tracker


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
    assert {path.name for path in folder.iterdir()} == {
        "records.json", "card.md", "judged.parquet", "recipe.json", "features.json",
        "average_precision.png", "auroc.png", "hybrid-weights.png",
        "ranker-importance.png", "ties-importance.png", "churn-importance.png", "churn-reliability.png", "bundle",
    }  # fmt: skip
    assert {"extras/chain_value/spearman", "extras/group_fill/brier"} <= run.data.metrics.keys()
    assert json.loads((folder / "features.json").read_text()) == list(trained.bundle.hybrid.gnn.columns)
    stack = trained.bundle.hybrid.stack
    assert stack
    for view, weight in zip(stack.views, stack.weights, strict=True):
        assert float(run.data.params[f"weight_{view}"]) == weight


def test_the_reliability_is_that_of_the_model_served(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []

    def draw(*given: Any) -> Figure:
        drawn.append(given)
        return Figure()

    monkeypatch.setattr("training.register.reliability_plot", draw)
    register(trained, Tracker(None, tmp_path))
    ((label, probability),) = drawn
    judged = trained.evaluations["churn"]
    np.testing.assert_array_equal(probability, np.concatenate([each.scores["hybrid"] for each in judged]))
    np.testing.assert_array_equal(label, np.concatenate([each.relevance for each in judged]))


def test_a_backtest_is_a_run_without_a_model(trained: Trained, tmp_path: Path) -> None:
    tracker = Tracker(None, tmp_path)
    assert log_backtest(trained.records, {"at_least": 2}, tracker) == "backtest of simulated-market"
    assert tracker.versions() == []
    (run,) = tracker._client.search_runs([tracker._experiment()])
    assert (run.info.run_name, run.info.status) == ("backtest of simulated-market", "FINISHED")
    assert run.data.params == {"at_least": "2"}
    assert "koc/hybrid/average_precision/pooled" in run.data.metrics
    folder = tmp_path / "mlartifacts" / run.info.run_id / "artifacts"
    assert {path.name for path in folder.iterdir()} == {"records.json", "average_precision.png", "auroc.png"}


def test_the_first_version_serves_and_later_ones_challenge(trained: Trained, scored: Scored, tmp_path: Path) -> None:
    assert scored.tracker.find("champion").version == 1
    bundle = trained.bundle
    skipped = {"chain_value": "no table tells who brought whom"}
    less = replace(bundle.hybrid, ranker=None, ties=None, stack=None)
    churn_only = replace(bundle, hybrid=less, extras=Extras(skipped=skipped))
    records = [record for record in trained.records if record.task == "churn"]
    evaluations = {"koc": [], "churn": trained.evaluations["churn"]}
    version = register(replace(trained, bundle=churn_only, records=records, evaluations=evaluations), scored.tracker)
    assert scored.tracker.find("challenger").version == version > 1
    assert scored.tracker.find("champion").version == 1
    folder = artifacts(scored, version)
    assert json.loads((folder / "extras-skipped.json").read_text()) == skipped
    assert {path.name for path in folder.iterdir()} == {
        "records.json", "card.md", "judged.parquet", "recipe.json", "features.json", "extras-skipped.json",
        "auroc.png", "churn-importance.png",
        "churn-reliability.png", "bundle",
    }  # fmt: skip
    assert Bundle.load(scored.tracker.download("challenger", tmp_path / "bundle")).hybrid.ranker is None
