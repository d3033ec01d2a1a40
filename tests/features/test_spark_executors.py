"""Spark goes on when its executors are killed: what they held is read or computed again, once."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.engine import DuckDB, Engine
from features.prepare import with_ledger
from features.snapshot import take_snapshot
from tests.paths import REPO
from tests.worlds import day, world

pytestmark = pytest.mark.spark

PROGRAM = """
import os
import signal
import sys
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq
from pyspark.sql.functions import udf

from features.engine_spark import Spark
from tests import sparks
from tests.features.test_spark_executors import ledger_of

folder = Path(sys.argv[1])


@ibis.udf.scalar.builtin
def survives(step: int) -> bool: ...


class Mortal(Spark):
    steps = 0

    def materialise(self, *parts: ir.Table, in_order: bool = False) -> ir.Table:
        self.steps += 1
        if self.steps in (2, 6):
            parts = tuple(part.filter(survives(ibis.literal(self.steps))) for part in parts)
        return super().materialise(*parts, in_order=in_order)


def once(step: int) -> bool:
    # Runs in a child of the executor's daemon. The file lasts, so that the task survives on the next executor.
    died = folder / f"killed-{step}"
    if not died.exists():
        executor = int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1])
        died.write_text(str(executor))
        os.kill(executor, signal.SIGKILL)
        signal.pause()
    return True


engine = sparks.start(Mortal, "local-cluster[1,1,512]", {"spark.executor.memory": "512m"})
engine._session.udf.register("survives", udf(once, "boolean").asNondeterministic())
pq.write_table(ledger_of(engine), folder / "ledger.parquet")
"""


def ledger_of(engine: Engine) -> pa.Table:
    """The ledger of ties and orders in which people follow others, sorted."""
    bought = [(user, (user + item) % 7, day(user * 0.7 + item)) for user in range(40) for item in range(3)]
    orders = [
        {"user_id": f"u{user}", "item_id": f"i{item}", "ordered_at": moment, "amount": 100 + user}
        for user, item, moment in bought
    ]
    pairs = [(user, user // step) for step in (2, 3) for user in range(1, 40)]
    ties = [{"user_id": f"u{user}", "influencer_id": f"u{other}", "kind": "follow"} for user, other in pairs]
    tables = world(orders=orders, ties=ties, engine=engine)
    ledger = engine.to_arrow(with_ledger(take_snapshot(tables, day(60)))["ledger"])
    return ledger.sort_by([(name, "ascending") for name in ledger.column_names])


def test_d80_a_run_whose_executors_are_killed_in_their_tasks_gives_the_same_ledger(tmp_path: Path) -> None:
    import pyspark

    home = tmp_path / "spark"
    home.mkdir()
    # Executors leave their logs in the folder of Spark, which tests leave as it is.
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    env = {"SPARK_HOME": str(home), "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path],
        env={**os.environ, **env}, cwd=REPO, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    executors = {path.name: int(path.read_text()) for path in tmp_path.glob("killed-*")}
    assert executors.keys() == {"killed-2", "killed-6"}
    assert len(set(executors.values())) == 2
    expected = ledger_of(DuckDB(threads=1))
    assert len(expected) > 10
    assert pq.read_table(tmp_path / "ledger.parquet").equals(expected)
