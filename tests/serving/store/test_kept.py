import gc
from pathlib import Path
from weakref import ref

from serving.history import History
from serving.lists.batch_ties import batch_ties
from serving.store.kept import kept
from serving.store.schemas import BLOCKS, INDEX, TABLE
from serving.store.score_store import ScoreStore
from tests.serving.batches import write_random


def test_answers_are_kept_and_the_oldest_forgotten() -> None:
    class Doubler:
        def __init__(self) -> None:
            self.asked: list[int] = []
            self.double = kept(2, self.doubled)

        def doubled(self, number: int) -> int:
            self.asked.append(number)
            return 2 * number

    doubler = Doubler()
    assert [doubler.double(number) for number in (1, 2, 1, 3, 2)] == [2, 4, 2, 6, 4]
    assert doubler.asked == [1, 2, 3, 2]


def test_a_batch_that_nobody_holds_is_closed_at_once(tmp_path: Path) -> None:
    write_random(tmp_path, users=50)
    gc.collect()
    gc.disable()
    try:
        batch = ScoreStore(tmp_path).open()
        assert batch.select({"reachable": "sms"}, 5, within={"attribute_tier": ["gold"]}).tolist()
        assert batch.select({"attribute_tier": "gold", "category": "toys"}, 5, within={"attribute_tier": ["gold"]}).tolist()
        assert len(batch_ties(batch).people)
        gone = ref(batch)
        del batch
        assert gone() is None
    finally:
        gc.enable()


def test_the_history_lets_go_of_batches_that_the_store_has_removed(tmp_path: Path) -> None:
    for seed in range(3):
        write_random(tmp_path, users=20, seed=seed, dataset="shop")
    history = History(ScoreStore(tmp_path))
    assert len(history.of("u00003", "shop")) == 3
    oldest = [ref(batch) for batch in history._open.values()][1:]
    assert [sorted(batch()._files._open) for batch in oldest] == [sorted([INDEX, TABLE, BLOCKS[INDEX], BLOCKS[TABLE]])] * 2
    ScoreStore(tmp_path).clear(1)
    gc.disable()
    try:
        assert len(history.of("u00003", "shop")) == 1
        assert [batch() for batch in oldest] == [None, None]
    finally:
        gc.enable()
