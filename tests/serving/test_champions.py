import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from features.errors import ConflictError, ForbiddenError, PromotionError, TrackingError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal, Scope
from serving.api.app import create_app
from serving.api.services import Services
from serving.champions import Champions
from serving.cli.demo import crown
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from tests.command import koc
from tests.databases import NewDatabase
from tests.serving.api.conftest import plain_services, plain_settings
from tests.serving.batches import write_random
from tests.training.judged import drawn, recipe, shuffled
from training.judged import JUDGED_FILE
from training.promotion.checks import Rules
from training.recipe import RECIPE_FILE
from training.tracking import Tracker

__all__ = ["plain_services", "plain_settings"]

RULES = Rules(people=200, resamples=100)
VERSIONS = 3
"""1: the champion, 2: a worse one, 3: a better one."""


def registered(tracker: Tracker, folder: Path, judged: pa.Table | None) -> int:
    """A version whose run kept ``judged`` and a recipe; its bundle is one file, which nobody opens."""
    bundle = folder / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "manifest.json").write_text("{}")
    with tracker.run(folder.name) as run:
        if judged is not None:
            pq.write_table(judged, folder / JUDGED_FILE)
            run.files(folder / JUDGED_FILE)
            run.document(RECIPE_FILE, recipe().to_dict())
            run.text("card.md", f"# Model card of {folder.name}\n")
        return tracker.register(run, bundle)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three versions; only its registry is copied, since artifacts never change."""
    home = tmp_path_factory.mktemp("registry")
    champion = drawn(noise=0.5)
    worse = shuffled(champion, np.array(champion["task"].to_pylist()) == "koc")
    for number, judged in enumerate((champion, worse, drawn(noise=0.2)), start=1):
        assert registered(Tracker(None, home), home / f"run {number}", judged) == number
    return home


@pytest.fixture
def home(registry: Path, tmp_path: Path) -> Path:
    shutil.copy(registry / "mlflow.db", tmp_path)
    return tmp_path


@pytest.fixture
def champions(home: Path, new_sqlite: NewDatabase) -> Iterator[Champions]:
    database = Database(new_sqlite())
    yield Champions(database, Tracker(None, home), ScoreStore(home / "scores"))
    database.close()


def alias(champions: Champions) -> int:
    return champions.tracker.find("champion").version


def test_a_worse_challenger_is_refused_with_the_failing_checks(champions: Champions) -> None:
    with pytest.raises(PromotionError, match=r"koc/2 does not replace koc/1, \d+ of \d+ checks failed:\n") as refused:
        champions.promote(LOCAL, 2, RULES)
    assert "\n  average_precision overall: 0." in str(refused.value)
    assert "has to be above -0." in str(refused.value)
    assert alias(champions) == 1
    assert [change.version for change in champions.history()] == [1]
    (entry,) = Audit(champions.database).read(action="model")
    assert (entry.action, entry.subject, entry.key_id) == ("model.refuse", "koc/2", "local")
    assert any("average_precision overall" in text for text in entry.criteria["failed"])


def test_a_better_one_passes_and_a_rollback_undoes_it(champions: Champions) -> None:
    noon = datetime.now(UTC) + timedelta(hours=1)
    moved = champions.promote(LOCAL, 3, RULES, now=noon)
    assert (moved.before, moved.change.version, alias(champions)) == (1, 3, 3)
    assert all(check.passed for check in moved.checks)
    back = champions.rollback(LOCAL, "complaints", now=noon + timedelta(hours=1))
    assert (back.before, back.change.version, alias(champions)) == (3, 1, 1)
    told = [(change.version, change.action, change.by, change.why) for change in champions.history()]
    assert told == [
        (1, "first", "registration", "there was no champion"),
        (3, "promote", "command line", f"passed {len(moved.checks)} checks against koc/1"),
        (1, "rollback", "command line", "complaints"),
    ]
    reigns = {noon - timedelta(minutes=1): 1, noon: 3, noon + timedelta(minutes=59): 3, noon + timedelta(hours=1): 1}
    for moment, version in reigns.items():
        found = champions.at(moment)
        assert found is not None
        assert found.version == version
    assert champions.at(datetime(2020, 1, 1, tzinfo=UTC)) is None
    entries = Audit(champions.database).read(action="model")
    assert [(entry.action, entry.subject, entry.criteria["before"]) for entry in entries] == [
        ("model.promote", "koc/3", "koc/1"),
        ("model.rollback", "koc/1", "koc/3"),
    ]
    with pytest.raises(ConflictError, match="no champion before the present one"):
        champions.rollback(LOCAL, "again")


def test_an_override_is_recorded_with_its_reason_and_what_it_overrode(champions: Champions) -> None:
    moved = champions.promote(LOCAL, "2", RULES, override="the old one reads a table that is gone")
    assert alias(champions) == 2
    change = champions.history()[-1]
    assert (change.action, change.why) == ("promote", "the old one reads a table that is gone")
    failed = [check.told for check in moved.checks if not check.passed]
    assert list(change.overridden) == failed != []
    (entry,) = Audit(champions.database).read(action="model.promote")
    assert (entry.criteria["why"], entry.criteria["overridden"]) == (change.why, failed)


def test_only_admins_change_the_champion(champions: Champions) -> None:
    trainer = Principal("k", "trainer", frozenset({Scope.TRAIN}))
    for change in (lambda: champions.promote(trainer, 3, RULES), lambda: champions.rollback(trainer, "worse")):
        with pytest.raises(ForbiddenError, match="needs scope 'admin'"):
            change()
    with pytest.raises(ConflictError, match="koc/1 is the champion already"):
        champions.promote(LOCAL, "champion", RULES)


def test_an_alias_that_was_moved_elsewhere_is_told_and_not_rolled_back(champions: Champions) -> None:
    champions.promote(LOCAL, 3, RULES)
    assert champions.strayed() is None
    champions.tracker._client.set_registered_model_alias("koc", "champion", "2")
    with pytest.raises(ConflictError, match=r"koc/2 has the alias champion, though the history ends with koc/3: somebody"):
        champions.rollback(LOCAL, "worse")
    ran = koc("models", "history", "--home", champions.tracker.home)
    assert "caution koc/2 has the alias champion, though the history ends with koc/3" in ran.out
    champions.promote(LOCAL, 3, RULES)
    assert champions.strayed() is None


def test_a_tour_serves_what_it_has_just_trained_and_the_history_says_so(champions: Champions) -> None:
    home = champions.tracker.home
    for _ in range(2):
        crown(home)
        assert [(change.version, change.why) for change in champions.history()[1:]] == [(3, "a tour begins anew")]


def test_what_cannot_be_audited_does_not_happen(champions: Champions, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Audit, "write", full)
    with pytest.raises(OSError, match="disk full"):
        champions.promote(LOCAL, 3, RULES)
    assert alias(champions) == 1
    assert len(champions.history()) == 1


def test_a_registry_that_refuses_leaves_no_trace(champions: Champions, monkeypatch: pytest.MonkeyPatch) -> None:
    client = champions.tracker._client

    def refuse(*_: object) -> None:
        raise ConnectionError("gone")

    monkeypatch.setattr(client, "set_registered_model_alias", refuse)
    with pytest.raises(TrackingError, match="cannot make koc/3 the champion: gone"):
        champions.promote(LOCAL, 3, RULES)
    assert alias(champions) == 1
    assert len(champions.history()) == 1
    assert Audit(champions.database).read(action="model") == []


def test_a_version_of_before_the_checks_says_what_to_do(champions: Champions, tmp_path: Path) -> None:
    version = registered(champions.tracker, tmp_path / "old", None)
    with pytest.raises(TrackingError, match=rf"koc/{version} has no judged.parquet; .*train again"):
        champions.promote(LOCAL, version, RULES)


def test_a_rollback_serves_the_same_bytes_again(champions: Champions) -> None:
    store = champions.store
    write_random(store.folder, seed=1, model="koc/1")
    before = {path.name: path.read_bytes() for path in (store.folder / store.current_id()).iterdir()}
    first = store.current_id()
    write_random(store.folder, seed=3, model="koc/3")
    champions.promote(LOCAL, 3, RULES)
    assert store.current().model == "koc/3"
    moved = champions.rollback(LOCAL, "worse")
    assert moved.batch is not None
    assert moved.batch.batch == store.current_id() == first
    assert {path.name: path.read_bytes() for path in (store.folder / first).iterdir()} == before


def test_requests_during_promotions_see_the_old_or_the_new_model_and_no_error(
    plain_services: Services, registry: Path
) -> None:
    shutil.copy(registry / "mlflow.db", plain_services.settings.home)
    store = plain_services.served.store
    write_random(store.folder, seed=3, model="koc/3")
    write_random(store.folder, seed=1, model="koc/1")
    champions = Champions(plain_services.database, Tracker(None, plain_services.settings.home), store)
    unlimited = plain_services.settings.model_copy(update={"requests_per_minute": 10**6})
    client = TestClient(
        create_app(unlimited, plain_services), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50_000)
    )
    answers: list[tuple[float, int, str]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.wait(0.01):
            answer = client.post("/v1/candidates", json={"size": 5})
            answers.append((time.monotonic(), answer.status_code, answer.headers.get("X-Model", answer.text)))

    callers = [threading.Thread(target=ask) for _ in range(3)]
    for thread in callers:
        thread.start()
    try:
        changes: list[tuple[Callable[[], Any], str]] = [
            (lambda: champions.promote(LOCAL, 3, RULES), "koc/3"),
            (lambda: champions.rollback(LOCAL, "worse"), "koc/1"),
        ]
        for change, model in changes:
            change()
            until = time.monotonic() + 10
            while not (answers and answers[-1][2] == model) and time.monotonic() < until:
                time.sleep(0.05)
            assert answers[-1][2] == model
    finally:
        done.set()
        for thread in callers:
            thread.join()
    assert len(answers) > 20
    assert {(status, model) for _, status, model in answers} == {(200, "koc/1"), (200, "koc/3")}


def test_the_commands_refuse_promote_show_and_roll_back(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "li")
    monkeypatch.setattr("training.promotion.checks.Rules", lambda **given: Rules(people=200, resamples=100, **given))
    options = ("--home", home)
    ran = koc("promote", "--version", 2, *options)
    assert ran.status == 1
    assert "koc/2 does not replace koc/1" in ran.err
    assert koc("promote", "--version", 2, "--override", *options).status == 2
    ran = koc("promote", *options, columns=200)
    assert ran.status == 0, ran.err
    assert "koc/3 is champion in place of koc/1: it has no scores yet; next: koc score --home" in ran.out
    assert "champion" in koc("models", "list", *options).out
    assert "# Model card of run 3" in koc("models", "show", 3, *options).out
    history = koc("models", "history", *options, columns=200).out
    assert history.index("koc/3") < history.index("koc/1")
    assert "li (command line)" in history
    assert "There was no champion at 2020-01-01." in koc("models", "history", "--at", "2020-01-01", *options).out
    ran = koc("rollback", "--reason", "worse", *options)
    assert ran.status == 0, ran.err
    assert "koc/1 is champion in place of koc/3" in ran.out
    logged = json.loads(koc("audit", "--action", "model", "--format", "json", *options).out)
    assert [entry["action"] for entry in logged] == ["model.refuse", "model.promote", "model.rollback"]
    assert {entry["criteria"]["by"] for entry in logged} == {"li (command line)"}
