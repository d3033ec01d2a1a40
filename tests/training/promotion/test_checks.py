from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.training.judged import DATES, drawn, recipe, shuffled, with_column
from training.judged import SUPPRESSED
from training.promotion.checks import Check, Rules, decide, mature, paired

RULES = Rules(people=200, resamples=100)


@cache
def champion() -> pa.Table:
    return drawn(noise=0.5)


def of(table: pa.Table, task: str) -> Any:
    return np.array(table["task"].to_pylist()) == task


def decided(challenger: pa.Table, **changes: Any) -> Mapping[str, Check]:
    checks = decide(champion(), challenger, recipe=recipe(**changes), rules=RULES)
    return {check.name: check for check in checks}


def failed(challenger: pa.Table, **changes: Any) -> set[str]:
    return {name for name, check in decided(challenger, **changes).items() if not check.passed}


def test_the_champion_itself_and_a_better_one_pass_every_check() -> None:
    found = decided(champion())
    assert {name for name in found if "region" in name} == {
        f"{metric} region {region}"
        for metric in ("average_precision", "captured_at_5pct", "level", "ece")
        for region in ("north", "south")
    }
    # Newcomers are 30 people, which is no large slice.
    assert {"labels", "dates", "people", "suppressed", "average_precision overall", "ece new no"} <= {*found}
    assert "ece new yes" not in found
    assert failed(champion()) == set()
    assert failed(drawn(noise=0.2)) == set()


def test_shuffled_scores_fail_with_their_numbers() -> None:
    worse = shuffled(champion(), of(champion(), "koc"))
    found = decided(worse)
    bad = {name for name, check in found.items() if not check.passed}
    assert {"average_precision overall", "captured_at_5pct overall", "average_precision region south"} <= bad
    # As many people are expected as before, so the level holds where everybody is in; nothing was done to churn.
    assert not {"level overall", "labels", "dates", "people", "suppressed", "ece overall"} & bad
    told = found["average_precision overall"]
    assert told.value < told.limit < 0
    assert f"has to be above {told.limit:+.4f}" in told.text
    assert "over 1,500 people" in told.text


def test_a_worse_slice_is_refused_though_the_whole_holds() -> None:
    south = np.array(champion()["region"].to_pylist()) == "south"
    worse = shuffled(champion(), south & of(champion(), "koc"))
    checks = decide(champion(), worse, recipe=recipe(), rules=replace(RULES, margin=0.6))
    bad = {check.name for check in checks if not check.passed}
    assert "average_precision region south" in bad
    assert not {"average_precision overall", "average_precision region north"} & bad


def test_too_many_people_expected_fail_the_level_alone() -> None:
    score = champion()["score"].to_numpy() + np.where(of(champion(), "koc"), 0.5, 0.0)
    bad = failed(with_column(champion(), "score", score))
    assert "level overall" in bad
    assert all(name.startswith("level") for name in bad)


def test_probabilities_of_leaving_that_are_off_fail_their_calibration() -> None:
    score = champion()["score"].to_numpy()
    off = np.where(of(champion(), "churn"), np.clip(score + 0.15, 0, 1), score)
    bad = failed(with_column(champion(), "score", off))
    assert "ece overall" in bad
    assert all(name.startswith("ece") for name in bad)


def test_one_suppressed_account_at_the_top_is_one_too_many() -> None:
    koc = of(champion(), "koc")
    score = np.where(koc, champion()["score"].to_numpy(), -np.inf)
    best, worst = int(np.argmax(score)), int(np.argmin(np.where(koc, score, np.inf)))
    for row, bad in ((best, {"suppressed"}), (worst, set())):
        codes = [""] * len(score)
        codes[row] = "bot_timing"
        assert failed(with_column(champion(), SUPPRESSED, codes)) == bad


def test_labels_that_were_open_when_it_was_fitted_are_named_in_days() -> None:
    as_of = datetime.fromisoformat(recipe().as_of)
    late = [(as_of - timedelta(days=29)).isoformat()]
    found = decided(champion(), training_dates=late)
    assert {name for name, check in found.items() if not check.passed} == {"labels"}
    assert found["labels"].text == "a label window of training was open for 1 more days when the challenger was fitted"
    assert mature([], timedelta(days=1), as_of).passed is False


def test_without_shared_dates_nothing_is_promoted() -> None:
    other = drawn(dates=(DATES[0], datetime(2024, 6, 30)), noise=0.2)
    assert "dates" in failed(other)
    assert "dates" in failed(drawn(dates=(datetime(2024, 6, 30),), noise=0.2))


def test_what_the_champion_could_do_the_challenger_must_do_too() -> None:
    assert "dates" in failed(champion().filter(pa.array(of(champion(), "koc"))))


def test_other_people_are_no_comparison() -> None:
    fewer = champion().filter(pa.array(np.arange(len(champion())) % 50 != 0))
    found = decided(fewer)
    assert not found["people"].passed
    assert found["people"].value == pytest.approx(0.98, abs=0.001)


def test_scores_are_paired_by_person_whatever_their_order() -> None:
    order = np.random.default_rng(0).permutation(len(champion()))
    (first, _) = paired(champion(), drawn(noise=0.2).take(pa.array(order)))["koc"]
    better = drawn(noise=0.2)
    wanted = dict(zip(better["person"].to_pylist()[:1500], better["score"].to_pylist()[:1500], strict=True))
    assert dict(zip(first.users, first.scores["challenger"], strict=True)) == wanted


def test_margins_are_those_of_the_rules() -> None:
    slightly = drawn(noise=0.65)
    strict = decide(champion(), slightly, recipe=recipe(), rules=replace(RULES, margin=0.0, slice_margin=0.0))
    lax = decide(champion(), slightly, recipe=recipe(), rules=replace(RULES, margin=0.5, slice_margin=0.9))
    names = [{check.name for check in checks if not check.passed} for checks in (strict, lax)]
    assert "average_precision overall" in names[0]
    assert "average_precision overall" not in names[1]
