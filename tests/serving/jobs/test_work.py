import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import serving.jobs.work as work_file
from features.errors import AccessError, ForbiddenError, JobError, TrackingError
from features.tables import Tables
from serving.access.keys import Keys
from serving.access.principal import LOCAL, Principal
from serving.jobs.jobs import Job, Jobs
from serving.jobs.kinds import Work
from serving.jobs.leases import Cancelled
from serving.jobs.states import JobState
from serving.jobs.work import KINDS, ScoreArguments, TrainArguments
from serving.jobs.worker import Worker
from serving.lists.lists import Lists
from serving.settings import ServiceSettings
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.conftest import SMALL, Scored, sharing
from tests.serving.batches import write_random
from training.settings import RANGES, TrainSettings
from training.timeline import Timeline
from training.tracking import Tracker


@dataclass
class Run:
    """Runs jobs inside of the test, each as often as it is told to; ``told``: steps and progress."""

    settings: ServiceSettings
    database: Database
    told: list[tuple[str | None, float | None]]

    def __call__(self, job: Job, until: Callable[[str], bool] = lambda _: False) -> dict[str, Any]:
        """``until``: the job is killed before the first step of which this is true."""
        step = ""

        def progress(what: str | None = None, share: float | None = None) -> None:
            nonlocal step
            step = what or step
            self.told.append((what, share))
            if until(step):
                raise Cancelled(job.job_id)

        return dict(KINDS[job.kind].run(Work(job, self.settings, self.database, progress, lambda: None)))


def asked(kind: str, by: Principal = LOCAL, **arguments: Any) -> Job:
    checked = KINDS[kind].arguments.model_validate(arguments).model_dump(mode="json")
    now = datetime.now(UTC)
    return Job(uuid.uuid4().hex, kind, checked, JobState.RUNNING, 0.0, None, 1, 3, "w", now, False, None, None,
               by.key_id, now, now, None)  # fmt: skip


@pytest.fixture
def run(database: Database, tmp_path: Path) -> Run:
    return Run(ServiceSettings(home=tmp_path), database, [])


@pytest.fixture
def trained_home(
    scored: Scored, market_file: Path, market: Tables, timeline: Timeline, run: Run, tmp_path: Path
) -> Iterator[Run]:
    """Runs jobs where a model is registered, with the features of the session's market."""
    # A copy: others read what is current at home.
    home = Path(shutil.copytree(scored.home, tmp_path / "home"))
    run.settings = run.settings.model_copy(update={"home": home, "dataset": market_file, "threads": 1})
    with sharing(timeline), pytest.MonkeyPatch.context() as patch:
        patch.setattr(work_file, "_tables", lambda _work, _dataset, steps: steps("reading") or market)
        yield run


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_a_score_job_writes_one_batch_however_often_it_is_begun(trained_home: Run) -> None:
    store = ScoreStore(trained_home.settings.scores)
    before = store.current()
    known = {manifest.batch for manifest in store.batches()}
    job = asked("score", model="1")
    with pytest.raises(Cancelled):
        trained_home(job, until=lambda step: "writing the batch" in step)
    assert store.current() == before
    result = trained_home(job)
    assert store.current().batch == result["batch"] != before.batch
    assert (result["model"], result["rows"], result["as_of"]) == ("koc/1", before.rows, before.as_of)
    assert result["served"]
    shares = [share for _, share in trained_home.told]
    assert all(0 <= share < 1 for share in shares if share is not None)
    trained_home.told.clear()
    # Killed after the batch, before it became current and before the job was told to be done.
    (store.folder / "current").write_text(before.batch)
    assert trained_home(job) == result
    assert trained_home.told == []
    assert store.current().batch == result["batch"]
    assert {manifest.batch for manifest in store.batches()} == known | {result["batch"]}
    assert not list(store.folder.glob(".partial-*"))


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_without_the_model_a_score_job_fails_before_tables_are_read(trained_home: Run) -> None:
    with pytest.raises(TrackingError, match="no version or alias '99'"):
        trained_home(asked("score", model="99"))
    assert trained_home.told == []


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_a_train_job_registers_one_challenger_however_often_it_is_begun(trained_home: Run, tmp_path: Path) -> None:
    trained_home.settings = trained_home.settings.model_copy(update={"home": tmp_path})
    tracker = Tracker(None, tmp_path)
    small = {
        name: value for name, value in SMALL.to_dict().items() if name in RANGES and value != getattr(TrainSettings, name)
    }
    job = asked("train", settings=small)
    with pytest.raises(Cancelled):
        trained_home(job, until=lambda step: step == "registering in MLflow")
    assert tracker.versions() == []
    shares = [share for _, share in trained_home.told if share is not None]
    assert shares == sorted(shares)
    assert 0 < shares[-1] < 1
    result = trained_home(job)
    assert (result["model"], result["aliases"]) == ("koc/1", ["challenger", "champion"])
    trained_home.told.clear()
    assert trained_home(job) == result
    assert trained_home.told == []
    assert [version.version for version in tracker.versions()] == [1]


# Lists


@pytest.fixture
def store(run: Run) -> ScoreStore:
    return write_random(run.settings.scores, users=300)


def test_a_list_job_makes_one_list_however_often_it_is_begun(run: Run, store: ScoreStore) -> None:
    job = asked("list", criteria={"size": 50, "holdout": 0.1}, name="spring")
    with pytest.raises(Cancelled):
        run(job, until=lambda step: step == "members")
    lists = Lists(run.database, Served(store), run.settings)
    assert lists.all(LOCAL) == ([], False)
    result = run(job)
    assert run(job) == result
    (made,), _ = lists.all(LOCAL)
    assert (made.list_id, made.name, made.rows, made.batch) == (job.job_id, "spring", 50, store.current().batch)
    assert result == {"list_id": job.job_id, "rows": 50, "batch": made.batch, "checksum": made.checksum}


def test_a_list_job_sees_what_its_makers_key_sees_now(run: Run, store: ScoreStore) -> None:
    keys = Keys(run.database)
    _, key = keys.create("hangzhou", ["operate"], {"attribute_region": ["Hangzhou"]})
    by = Principal(key.key_id, key.name, frozenset(key.scopes), key.row_scope)
    result = run(asked("list", by, criteria={"size": 1_000}))
    assert 0 < result["rows"] < 300
    lists = Lists(run.database, Served(store), run.settings)
    rows = lists.payload(lists.get(LOCAL, result["list_id"])).table(["attribute_region"])
    assert set(rows["attribute_region"].to_pylist()) == {"Hangzhou"}
    keys.revoke(key.key_id)
    with pytest.raises(AccessError, match=f"may do so no more: key {key.key_id} is revoked"):
        run(asked("list", by, criteria={"size": 1}))
    with pytest.raises(AccessError, match="is unknown"):
        run(asked("list", replace(by, key_id="gone"), criteria={"size": 1}))


@pytest.mark.parametrize("kind", ["score", "train"])
def test_a_key_that_may_not_train_cannot_let_a_job_do_so(run: Run, kind: str) -> None:
    _, key = Keys(run.database).create("operator", ["operate"])
    by = Principal(key.key_id, key.name, frozenset(key.scopes))
    with pytest.raises(ForbiddenError, match="needs scope 'train'"):
        run(asked(kind, by))


def test_a_worker_makes_a_long_list(database_url: str, jobs_settings: ServiceSettings) -> None:
    """Its progress is told while the list's own transaction is open, for which SQLite keeps other writers out."""
    write_random(jobs_settings.scores, users=30_000)
    database = Database(database_url)
    jobs = Jobs(database, KINDS)
    job = jobs.create(LOCAL, "list", {"criteria": {"size": 20_000, "holdout": 0.1}})
    Worker(jobs_settings, KINDS).run(once=True)
    done = jobs.get(LOCAL, job.job_id)
    assert done.error is None
    assert (done.state, done.attempts) == ("succeeded", 1)
    assert done.result
    assert (done.result["list_id"], done.result["rows"]) == (job.job_id, 20_000)
    database.close()


@pytest.fixture
def jobs_settings(database_url: str, tmp_path: Path) -> ServiceSettings:
    return ServiceSettings(home=tmp_path, database_url=database_url)


# Arguments


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("score", {"as_of": "soon"}, "as_of: "),
        ("score", {"as_of": "0001-01-01T00:00:00+14:00"}, "is not a date that scores can be told of"),
        ("score", {"dataset": "/etc/passwd"}, "dataset: Extra inputs are not permitted"),
        ("train", {"settings": {"depth": 3}}, "settings: unknown setting 'depth'; choose from dates"),
        ("train", {"settings": {"dates": 0}}, "dates is 0; give a value from 1 to 1000"),
        ("train", {"settings": {"dates": 1.5}}, "dates is 1.5; give a whole number from 1 to 1000"),
        ("list", {}, "criteria: Field required"),
        ("list", {"criteria": {"size": 0}}, "criteria.size: "),
    ],
)
def test_arguments_that_cannot_be_used_are_refused_when_the_job_is_asked_for(
    run: Run, kind: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobError, match=f"a {kind} job does not take these arguments: .*{message}"):
        Jobs(run.database, KINDS).create(LOCAL, kind, arguments)


def test_arguments_mean_the_same_when_they_are_read_again() -> None:
    scored = ScoreArguments.model_validate({"as_of": "2024-06-01T08:00:00+08:00"})
    assert scored.as_of == datetime(2024, 6, 1)
    assert ScoreArguments.model_validate(scored.model_dump(mode="json")) == scored
    trained = TrainArguments.model_validate({"settings": {"dates": 3.0, "learning_rate": 1}})
    assert trained.settings == {"dates": 3, "learning_rate": 1.0}
    assert TrainArguments.model_validate(trained.model_dump(mode="json")) == trained


def test_the_schema_of_training_settings_says_what_is_accepted() -> None:
    schema = TrainArguments.model_json_schema()["properties"]["settings"]
    assert list(schema["properties"]) == list(RANGES)
    for name, bounds in schema["properties"].items():
        for value in (bounds["minimum"], bounds["maximum"]):
            TrainArguments.model_validate({"settings": {name: value}})
        with pytest.raises(ValidationError):
            TrainArguments.model_validate({"settings": {name: bounds["maximum"] + 1}})
        assert (bounds["type"] == "integer") == isinstance(getattr(TrainSettings, name), int)
