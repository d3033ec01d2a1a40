"""`koc score`: batch scores of all users."""

from pathlib import Path
from typing import Annotated, cast

import typer

from serving.cli.engines import EngineName, EngineOption, SparkMaster, SparkOptions, make_engine
from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_HOME,
    DEFAULT_THREADS,
    DatasetFile,
    Home,
    Kept,
    MemoryLimit,
    Quarantine,
    Root,
    Threads,
    Tracking,
    given,
    open_dataset,
    progress,
    read,
    say,
)


def score(
    dataset: DatasetFile = DEFAULT_DATASET,
    root: Root = None,
    as_of: Annotated[str | None, typer.Option(help="Score as of this date (UTC); default: the end of the data.")] = None,
    model: Annotated[str, typer.Option(help="A version, or an alias such as champion or challenger.")] = "champion",
    out: Annotated[Path | None, typer.Option(help="Folder of batches; default: scores/ at home.")] = None,
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
    quarantine: Quarantine = None,
    kept: Kept = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
    engine: EngineOption = EngineName.DUCKDB,
    spark_master: SparkMaster = None,
    spark_option: SparkOptions = None,
) -> None:
    """Score every user with a registered model, and serve the batch if the model is the champion.

    Scores of another model are kept beside what is served, until `koc promote` makes it the champion.
    Accounts that abuse is held against are suppressed, unless the batch goes to a folder of its own.

    Example: koc score --dataset dataset.toml --as-of 2024-06-01
    """
    from datetime import datetime

    from features.dataset import parse_moment
    from features.errors import DatasetError
    from serving.batch import score_batch
    from serving.gate import gate_batch
    from serving.settings import ServiceSettings
    from serving.store.score_store import ScoreStore
    from training.tracking import Tracker

    try:
        moment = parse_moment(as_of)
    except ValueError:
        raise DatasetError(f"--as-of {as_of!r} is not a date; write it as 2024-05-31") from None
    described, tracker = read(dataset, root), Tracker(tracking, home)
    # Without a model there is no need to read tables for minutes first.
    tracker.find(model)
    running = make_engine(engine, memory=memory, threads=threads, master=spark_master, options=spark_option)
    tables, _ = open_dataset(described, quarantine=quarantine, engine=running, kept=kept)
    store = ScoreStore(out or home / "scores")
    with progress("scoring") as tell:
        manifest = score_batch(
            tables, tracker, store,
            model=model, as_of=cast(datetime | None, moment), keep=ServiceSettings().keep_batches,
            served=None if out is None else lambda _: True, progress=tell,
        )  # fmt: skip
    if out is None:
        with operations(home, database_url) as database:
            gated = gate_batch(database, store.open(manifest.batch))
        if gated.added:
            why = f"koc candidates --barred --where 'abuse_score>=0.01' --format csv{given(home=home)}"
            say(f"Suppressed {gated.added:,} accounts for abuse; in abuse_evidence of `{why}` stands why")
    scored = f"Scored {manifest.rows:,} users as of {manifest.as_of} with {manifest.model}: batch {manifest.batch}"
    if (current := store.current()).batch == manifest.batch:
        say(f"{scored}; next: koc candidates{given(scores=out, home=home)}")
    else:
        compare = f"koc batches diff --batch {manifest.batch} --before {current.batch}{given(home=home)}"
        say(f"{scored}, kept beside {current.batch} of {current.model}, which is served; next: {compare}")
