import gc
from pathlib import Path
from weakref import ref

from serving.store.kept import kept
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
        gone = ref(batch)
        del batch
        assert gone() is None
    finally:
        gc.enable()
