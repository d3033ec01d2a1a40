from collections.abc import Mapping, Sequence

import lightgbm
import numpy as np
import pytest

from training import boosters as boosters_module
from training.boosters import mean_margins, unseen_margins
from training.forest import BLOCK, ROWS_AT_ONCE, Forest
from training.matrix import Matrix

COLUMNS = 9


def features(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 9): of the first three some are unknown, the last is one of five numbers."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, COLUMNS)).astype(np.float32)
    x[:, :3][random.random((rows, 3)) < 0.3] = np.nan
    x[:, -1] = random.integers(-2, 3, rows)
    return x


def fitted(leaves: int = 15, objective: str = "tweedie", seed: int = 0, **more: object) -> lightgbm.Booster:
    x = features(4_000)
    y = np.exp(np.nan_to_num(x[:, 0]) * x[:, -1] / 2 - np.isnan(x[:, 1]) + x[:, 5])
    params: Mapping[str, object] = {
        "objective": objective, "num_leaves": leaves, "min_data_in_leaf": 5, "seed": seed, "verbosity": -1, "num_threads": 1,
        "feature_fraction": 0.7, **more,
    }  # fmt: skip
    return lightgbm.train(dict(params), lightgbm.Dataset(x, y > 1 if objective == "binary" else y), 30)


def raw(boosters: list[lightgbm.Booster], x: np.ndarray) -> np.ndarray:
    return np.stack([booster.predict(x, raw_score=True) for booster in boosters], axis=1)


@pytest.mark.parametrize(("leaves", "width"), [(2, np.uint16), (15, np.uint16), (31, np.uint32), (64, np.uint64)])
@pytest.mark.parametrize("objective", ["tweedie", "binary"])
def test_a_forest_says_the_bits_that_lightgbm_says(leaves: int, width: type, objective: str) -> None:
    boosters = [fitted(leaves, objective, seed) for seed in range(3)]
    forest = Forest.of(boosters)
    assert forest is not None
    assert forest.stays.dtype == width
    x = features(BLOCK * 20 + 7, seed=1)
    # What training never met: unknown values of features that were always known, and the largest and smallest numbers.
    x[::5, 4:] = np.nan
    of = np.finfo(np.float32)
    x[1::7, 5], x[2::7, 5], x[3::7, 5], x[4::7, 5] = of.max, of.min, 0.0, of.tiny
    np.testing.assert_array_equal(forest.margins(x), raw(boosters, x))


def test_thresholds_between_two_numbers_part_them_as_lightgbm_does() -> None:
    booster = fitted()
    forest = Forest.of([booster])
    assert forest is not None
    x = features(forest.most.size * 3, seed=2)
    near = np.repeat(forest.most, 3)
    near[1::3] = np.nextafter(near[1::3], np.finfo(np.float32).max)
    near[2::3] = np.nextafter(near[2::3], np.float32(-np.inf))
    x[np.arange(len(x)), np.repeat(forest.feature, 3)] = near
    np.testing.assert_array_equal(forest.margins(x), raw([booster], x))


def test_more_rows_than_one_thread_takes_come_in_their_order() -> None:
    forest, x = Forest.of([fitted()]), features(2 * ROWS_AT_ONCE + 5)
    assert forest is not None
    np.testing.assert_array_equal(forest.margins(x)[-5:], forest.margins(x[-5:]))
    assert forest.margins(x[:0]).shape == (0, 1)


def test_trees_without_a_condition_say_their_only_value() -> None:
    x = features(200)
    still = lightgbm.train({"min_data_in_leaf": 150, "verbosity": -1}, lightgbm.Dataset(x, x[:, 5]), 3)
    forest = Forest.of([still, fitted()])
    assert forest is not None
    np.testing.assert_array_equal(forest.margins(x), raw([still, fitted()], x))


def test_categories_and_very_large_trees_are_left_to_lightgbm() -> None:
    x = features(2_000)
    named = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(np.abs(x), x[:, 5], categorical_feature=[COLUMNS - 1]), 3)
    assert Forest.of([named]) is None
    assert Forest.of([fitted(65)]) is None
    assert Forest.of([fitted(zero_as_missing=True)]) is None


def test_another_number_of_columns_is_refused() -> None:
    forest = Forest.of([fitted()])
    assert forest is not None
    with pytest.raises(ValueError, match="the trees read 9 columns, and were given 8"):
        forest.margins(features(10)[:, 1:])


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many boosters each forest was made of, while all rows count as many."""
    made: list[int] = []
    of = Forest.of

    def counted(boosters: Sequence[lightgbm.Booster]) -> Forest | None:
        made.append(len(boosters))
        return of(boosters)

    monkeypatch.setattr(boosters_module, "MANY_ROWS", 1)
    monkeypatch.setattr(Forest, "of", counted)
    return made


def test_many_rows_are_told_what_few_are(many: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    boosters, x = [fitted(seed=seed) for seed in range(3)], features(500)
    columns = tuple(f"c{number}" for number in range(COLUMNS))
    matrix, groups = Matrix(np.arange(500).astype(str).astype(object), x, columns, {}), np.arange(500) % 3
    some = np.arange(500) % 2 == 0

    def told() -> tuple[np.ndarray, ...]:
        means = mean_margins(boosters, matrix, columns), mean_margins(boosters, matrix, columns, some)
        return (*means, unseen_margins(boosters, x, groups))

    found = told()
    assert many == [3, 3, 1, 1, 1]
    monkeypatch.undo()
    few = told()
    for one, other in zip(few, found, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(few[1], few[0][some])
    np.testing.assert_array_equal(few[2], raw(boosters, x)[np.arange(500), groups])
