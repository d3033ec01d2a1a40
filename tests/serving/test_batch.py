from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from features.errors import BundleError, ScoresError, TrackingError
from features.tables import Tables
from serving.batch import of_champion, require_same_features, require_same_settings, score_batch
from serving.store.score_store import ScoreStore
from tests.conftest import Scored, sharing
from tests.serving.batches import write_users
from training.pipeline import Trained
from training.profile import PACES, SHIFTED
from training.timeline import Timeline
from training.tracking import Tracker


def with_settings(tables: Tables, **update: Any) -> Tables:
    """The same tables under a dataset file that says something else."""
    dataset = tables.dataset
    time = {name: update.pop(name) for name in [*update] if name in type(dataset.time).model_fields}
    changed = dataset.model_copy(update={**update, "time": dataset.time.model_copy(update=time)})
    return replace(tables, dataset=changed)


def test_a_batch_of_a_past_date_knows_its_users_alone(
    scored: Scored, market: Tables, tmp_path: Path, timeline: Timeline
) -> None:
    as_of = market.dataset.time.test_dates[0]
    store = ScoreStore(tmp_path)
    said: list[str] = []
    with sharing(timeline):
        manifest = score_batch(market, scored.tracker, store, model="1", as_of=as_of, progress=said.append)
    assert (manifest.model, manifest.as_of) == ("koc/1", as_of.isoformat())
    assert sorted(store.open().table()["user_id"].to_pylist()) == timeline.matrix(as_of).users.tolist()
    assert manifest.rows < scored.manifest.rows
    assert said[0] == "loading koc version 1"


def test_what_does_not_fit_into_memory_is_the_same_to_the_last_byte(
    scored: Scored, market: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"features.tie_parts.TIES_A_PART": 1_000, "training.roomy.CELLS_IN_MEMORY": 100,
             "training.roomy.BYTES_IN_MEMORY": 100, "serving.batch.BESIDE": 0,
             "serving.store.index.ROWS_AT_ONCE": 100, "training.gnn.CELLS_AT_ONCE": 5_000}  # fmt: skip
    for name, most in small.items():
        monkeypatch.setattr(name, most)
    manifest = score_batch(market, scored.tracker, ScoreStore(tmp_path), model="1")
    assert manifest.rows == scored.manifest.rows > 500
    assert manifest.checksums == scored.manifest.checksums


def test_extra_models_score_a_batch_as_they_did_when_they_were_trained(
    scored: Scored, trained: Trained, timeline: Timeline
) -> None:
    """From training over the registered bundle, saved and loaded again, to the columns of the batch."""
    batch = scored.store.open()
    as_of = datetime.fromisoformat(batch.manifest.as_of)
    extras, frame = trained.bundle.extras, timeline.frame(as_of)
    assert {*extras.models} == {"chain_value", "group_fill"}
    told = extras.score(timeline.snapshot(as_of), frame)
    rows = batch.table(columns=["user_id", *told]).to_pandas().set_index("user_id").loc[frame.users.tolist()]
    for column, values in told.items():
        assert np.isfinite(values).any()
        np.testing.assert_array_equal(rows[column].to_numpy(float), values, err_msg=column)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"horizon": timedelta(days=30)}, r"trained with time.horizon = 42 days, 0:00:00, the dataset has 30 days"),
        ({"window": timedelta(days=7)}, "time.window = 28 days"),
        ({"min_gap": timedelta(hours=6)}, "time.min_gap = 0:00:00, the dataset has 6:00:00; train again"),
        ({"lookback": timedelta(days=90)}, "time.lookback = None, the dataset has 90 days"),
        ({"windows": (timedelta(days=7),)}, "time.feature_windows"),
        ({"credit": "category"}, "trained with credit = item, the dataset has category; train again"),
        ({"zone": "UTC"}, "trained with zone = Asia/Shanghai, the dataset has UTC; train again"),
        ({"currency": "EUR"}, "trained with currency = CNY, the dataset has EUR; train again"),
    ],
)
def test_settings_that_change_what_features_mean_are_refused(
    trained: Trained, market: Tables, update: dict[str, Any], message: str
) -> None:
    require_same_settings(trained.bundle, market.dataset)
    with pytest.raises(BundleError, match=message):
        require_same_settings(trained.bundle, with_settings(market, **update).dataset)


def test_settings_that_change_nothing_else_are_accepted(trained: Trained, market: Tables) -> None:
    require_same_settings(trained.bundle, with_settings(market, name="other", test_dates=(), root=Path("elsewhere")).dataset)


def test_features_that_the_tables_no_longer_give_are_named(trained: Trained, timeline: Timeline) -> None:
    hybrid, frame = trained.bundle.hybrid, timeline.frame(trained.bundle.as_of)
    require_same_features(hybrid, frame)
    dropped = [name for name in frame.matrix.columns if name.startswith("share")]
    kept = tuple(name for name in frame.matrix.columns if name not in dropped)
    less = replace(frame, matrix=replace(frame.matrix, columns=kept))
    with pytest.raises(
        BundleError, match=rf"reads {len(dropped)} features .* no longer give, such as {dropped[0]}, .*map the"
    ):
        require_same_features(hybrid, less)


def test_features_of_ties_that_are_gone_are_named(trained: Trained, timeline: Timeline) -> None:
    frame = timeline.frame(trained.bundle.as_of)
    less = replace(frame, ties=replace(frame.ties, columns=tuple(c for c in frame.ties.columns if c != "strength")))
    with pytest.raises(BundleError, match=r"reads 1 features .* no longer give, such as strength; map the"):
        require_same_features(trained.bundle.hybrid, less)


def test_a_table_that_is_gone_is_refused_and_nothing_is_written(scored: Scored, market: Tables, tmp_path: Path) -> None:
    less = replace(
        market,
        tables={name: table for name, table in market.tables.items() if name != "shares"},
        given={name: given for name, given in market.given.items() if name != "shares"},
    )
    with pytest.raises(BundleError, match="features that the dataset's tables no longer give, such as shares_14d"):
        score_batch(less, scored.tracker, ScoreStore(tmp_path / "scores"))
    assert not (tmp_path / "scores").exists()


def test_dates_that_say_nothing_are_refused(scored: Scored, market: Tables, tmp_path: Path) -> None:
    store, far = ScoreStore(tmp_path), timedelta(days=4000)
    with pytest.raises(
        ScoresError, match=r"the data ends 2024-07-18, more than a horizon before 2035-.*would look inactive"
    ):
        score_batch(market, scored.tracker, store, as_of=market.observed_until + far)
    with pytest.raises(ScoresError, match=r"nobody acted before 2013-.*; score a later date"):
        score_batch(market, scored.tracker, store, as_of=market.observed_until - far)


def test_without_a_model_one_is_told_to_train(market: Tables, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no model 'koc' is registered; run `koc train` first"):
        score_batch(market, Tracker(None, tmp_path), ScoreStore(tmp_path / "scores"))


def test_d77_a_batch_of_the_day_of_training_has_not_drifted_and_another_day_has(
    scored: Scored, trained: Trained, timeline: Timeline, market: Tables
) -> None:
    rows = scored.store.open(scored.manifest.batch).drift().to_pylist()
    assert {row["column"] for row in rows} == {*trained.bundle.profile.columns}
    assert {"koc_score", "churn_probability", "orders_42d"} <= {row["column"] for row in rows}
    assert max(row["psi"] for row in rows) == 0.0
    assert not any(row["shifted"] for row in rows)
    earlier = timeline.frame(market.dataset.time.test_dates[0])
    told = {row["column"]: row for row in trained.bundle.profile.drift(earlier, trained.bundle.hybrid.said(earlier))}
    # Time alone has moved it this far in the horizon before training: so it will after it, and nobody has to look.
    assert told["tenure_days"]["limit"] == PACES * told["tenure_days"]["psi"] > SHIFTED  # type: ignore[operator]
    assert not told["tenure_days"]["shifted"]
    assert told["orders_42d"]["kind"] == "feature"


def test_what_is_served_is_of_the_champion_or_the_first_of_all(tmp_path: Path) -> None:
    tracker: Any = SimpleNamespace(find=lambda _: SimpleNamespace(version=2))
    store = ScoreStore(tmp_path)
    assert of_champion(tracker, store)("koc/1")
    write_users(store, [{"user_id": "a"}])
    assert [of_champion(tracker, store)(model) for model in ("koc/1", "koc/2")] == [False, True]
    (tmp_path / "current").write_text("..")
    with pytest.raises(ScoresError):
        of_champion(tracker, store)("koc/1")
