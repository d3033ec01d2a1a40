import io

import pytest
from rich.console import Console

from training.intervals import Record
from training.results import render


def record(model: str, metric: str, value: float, *, minus: str | None = None, where: str = "2024-05-01/shop") -> Record:
    as_of, dataset = where.split("/")
    task = "churn" if metric in {"auroc", "ece"} else "koc"
    return Record(dataset, as_of, task, model, metric, value, value - 0.05, value + 0.05, 1_234, 56, 0, minus)  # type: ignore[arg-type]


def printed(records: list[Record], width: int = 80) -> str:
    text = io.StringIO()
    render(records, Console(file=text, width=width))
    return " ".join(text.getvalue().split())


def test_values_stand_beside_their_intervals() -> None:
    text = printed([record("lightgbm", "average_precision", 0.4), record("degree", "average_precision", 0.1)], width=100)
    assert "KOC: influence within the horizon | shop | 2024-05-01 | 1,234 users, 56 positive" in text
    assert "0.400 0.350 0.450" in text
    assert "0.100 0.050 0.150" in text
    assert "ndcg" not in text


def test_differences_have_signs() -> None:
    text = printed([record("lightgbm", "auroc", 0.02, minus="recency")])
    assert "- recency" in text
    assert "+0.020 -0.030 +0.070" in text


def test_a_metric_that_is_nowhere_defined_is_left_out() -> None:
    text = printed([record("recency", "auroc", float("nan")), record("lightgbm", "ece", 0.1)])
    assert "auroc" not in text
    assert "nan" not in text


@pytest.mark.parametrize("others", [[], ["2024-05-01/town"]])
def test_one_dataset_is_not_pooled_with_itself(others: list[str]) -> None:
    places = ["2024-05-01/shop", "pooled/shop", *others, "pooled/pooled"]
    text = printed([record("degree", "auroc", 0.6, where=place) for place in places], width=120)
    assert "shop | all dates" in text
    assert ("all datasets | all dates" in text) == bool(others)


def test_names_of_metrics_and_models_fit_a_narrow_terminal() -> None:
    metrics = ("average_precision", "ndcg_at_100", "ndcg_at_1000", "captured_at_1pct", "captured_at_5pct")
    text = printed([record("lightgbm", metric, 0.1, minus="past_influence") for metric in metrics])
    assert "…" not in text
    for word in ("average", "precision", "captured", "1000", "5pct", "past_influence"):
        assert word in text
