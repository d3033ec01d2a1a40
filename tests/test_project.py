"""What holds of the project as a whole: its arrows, its boundaries, its command line and its reference pages."""

import ast
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from typer.main import get_command
from typer.testing import CliRunner

from features.blocks.all import ALL_BLOCKS
from features.dataset import DEFAULT_SEVERITY, Dataset, Defect, Severity, TableSource, TimeSettings, read_dataset
from features.schema import RECORDED_AT, TABLES
from serving.cli.main import app
from tests.paths import REPO

STAGES = ("features", "training", "serving")
FILES = {str(path.relative_to(REPO)): path for stage in STAGES for path in sorted((REPO / stage).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
LEAVES = {
    f"{group} {name}".strip(): command
    for group, found in [("", get_command(app)), *get_command(app).commands.items()]  # type: ignore[attr-defined]
    for name, command in getattr(found, "commands", {}).items()
    if not hasattr(command, "commands")
}
"""Every command by its name, such as ``score`` or ``keys create``."""
COMMANDS = sorted(LEAVES)
PAGE = (REPO / "docs" / "dataset.md").read_text(encoding="utf-8")

KOC = Path(sys.executable).parent / "koc"

EACH_FILE = pytest.mark.parametrize("name", FILES)


def imported(name: str, *, at_start: bool = False) -> set[str]:
    """Modules that a file imports; ``at_start``: when it is itself imported, and not in functions or for types only."""

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{name} imports relatively; name the package"
                yield child.module or ""
            elif at_start and (
                isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
                or (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING")
            ):
                continue
            else:
                yield from walk(child)

    return set(walk(TREES[name]))


def packages(name: str) -> set[str]:
    return {module.partition(".")[0] for module in imported(name)}


@EACH_FILE
def test_imports_point_backwards_only(name: str) -> None:
    later = STAGES[STAGES.index(name.partition("/")[0]) + 1 :]
    assert not packages(name) & {*later, "tests", "notebooks"}


@EACH_FILE
def test_a_file_starts_by_saying_what_comes_out_of_it(name: str) -> None:
    if FILES[name].name == "__init__.py":
        assert FILES[name].read_text() == "", f"{name} should be empty"
        return
    said = ast.get_docstring(TREES[name])
    assert said, f"{name} has no docstring"
    assert said.splitlines()[0].rstrip().endswith((".", ":")) or len(said.splitlines()) > 1, f"{name}: {said}"


HEAVY = {
    "mlflow": {"training/tracking.py"},
    "lightgbm": {"training/"},
    "numba": {"training/machine_code.py", "training/propagate.py"},
    "torch": {"training/graph.py", "training/propagate.py", "training/gnn.py", "training/gnn_fit.py"},
    "torch_geometric": {"training/gnn.py", "training/graph.py", "training/propagate.py"},
    "safetensors": {"training/gnn.py"},
    "optuna": {"training/tune.py"},
    "igraph": {"features/structure.py"},
    "duckdb": {"features/engine.py", "features/intake/sources.py"},
    "pyspark": {"features/engine_spark.py"},
    "pandera": {"features/intake/validate.py"},
    "matplotlib": {"training/plots.py", "training/tracking.py"},
    "sqlalchemy": {
        *("serving/state/", "serving/access/", "serving/lists/", "serving/outreach/", "serving/jobs/"),
        *("serving/api/problems.py", "serving/api/security.py", "serving/api/routes_health.py", "serving/cards.py"),
        *("serving/gate.py", "serving/community_pages.py"),
    },
    "fastapi": {"serving/api/"},
}


@EACH_FILE
def test_heavy_libraries_come_in_at_one_boundary_each(name: str) -> None:
    for library in packages(name) & set(HEAVY):
        assert name.startswith(tuple(HEAVY[library])), f"{name} imports {library}"


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("features/")])
def test_engines_are_named_in_three_files_of_features(name: str) -> None:
    if name in ("features/engine.py", "features/engine_spark.py", "features/intake/sources.py"):
        return
    found = re.findall(r"duckdb|spark", FILES[name].read_text(encoding="utf-8"), re.IGNORECASE)
    assert not found, f"{name} names {found}"


COMPILED = (
    "connection.con.sql(connection.compile(wanted))",
    "connection.con.sql(connection.compile(expression))",
    "self._session.sql(self._connection.compile(expression))",
    "self._connection.raw_sql(TABLES_IN.format(file=file))",
)
"""Text that an engine is given, made of an expression, or saying where its tables lie."""


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("features/")])
def test_features_hold_no_sql(name: str) -> None:
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            compiled = f"{called}({ast.unparse(node.args[0])})" in COMPILED if node.args else False
            assert node.func.attr not in ("sql", "raw_sql", "execute") or compiled, f"{name}:{node.lineno} {called}"
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            statement = re.match(r"\s*(SELECT\s.*\sFROM|INSERT INTO|CREATE (TEMP )?(TABLE|VIEW)|WITH \w+ AS)\s", node.value)
            assert not statement, f"{name}:{node.lineno} {node.value[:60]!r}"


def test_every_block_is_built_of_what_a_snapshot_holds() -> None:
    for block in ALL_BLOCKS:
        assert list(block.build.__annotations__) == ["snapshot", "return"], block.name


# What is installed

LOCKS = ("requirements.lock", "requirements-notebooks.lock")


def locked(name: str) -> dict[str, str]:
    """Package -> version."""
    lines = [line for line in (REPO / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return {
        re.sub("[-_.]+", "-", package).lower(): version for package, _, version in (line.partition("==") for line in lines)
    }


def test_every_pinned_dependency_is_locked_once_with_its_version() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    main, notebooks = map(locked, LOCKS)
    assert not {*main} & {*notebooks}
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    for group, wanted in groups.items():
        for text in wanted:
            package, _, version = re.sub(r"\[.*\]", "", text).partition("==")
            if version:
                found = (notebooks if group == "notebooks" else main).get(re.sub("[-_.]+", "-", package).lower())
                assert found == version, f"{text} of group {group!r}"


# The command line


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example_that_names_its_own_options(command: str) -> None:
    said = run(*command.split(), "--help")
    example = re.search(rf"Example: (koc {command}\b.*)", said)
    assert example, f"koc {command} --help has no example:\n{said}"
    click_command = LEAVES[command]
    known = {flag for parameter in click_command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert set(re.findall(r"--[a-z-]+", example[1])) <= known
    for parameter in click_command.params:
        assert getattr(parameter, "help", None), f"koc {command} {parameter.opts} has no help"


def test_help_lists_every_command() -> None:
    said = run("--help")
    assert all(re.search(rf"\b{command.split()[0]}\b", said) for command in COMMANDS)


def test_help_is_quick() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        ran = subprocess.run([KOC, "--help"], check=True, capture_output=True, text=True)
        assert "candidates" in ran.stdout
        return time.perf_counter() - start

    # Of three, since another process may hold the machine.
    assert min(seconds() for _ in range(3)) < 1.5


def test_the_command_line_imports_nothing_heavy_before_a_command_runs() -> None:
    code = "import sys, serving.cli.main; print(*{module.partition('.')[0] for module in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True, capture_output=True, text=True).stdout.split()
    assert not {"ibis", "duckdb", "pandas", "numpy", "pyarrow", "pydantic", *HEAVY} & set(found)


# docs/dataset.md


def section(title: str) -> str:
    assert f"\n## {title}\n" in PAGE, f"docs/dataset.md has no section {title!r}"
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(title: str) -> dict[str, list[str]]:
    """First cell (without backticks) -> the other cells, of the table in a section."""
    found = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(title).splitlines()
        if line.startswith("| `")
    ]
    assert len({cells[0] for cells in found}) == len(found)
    return {cells[0].strip("`"): cells[1:] for cells in found}


SECTIONS: dict[str, type[BaseModel]] = {
    "Keys of the file": Dataset,
    "Keys of `[time]`": TimeSettings,
    "Keys of `[tables.NAME]`": TableSource,
}
LEAST: dict[type[BaseModel], dict[str, Any]] = {
    Dataset: {"name": "shop", "root": ".", "tables": {"orders": {"source": "orders.csv"}}},
    TimeSettings: {},
    TableSource: {"source": "orders.csv"},
}
KEYS = [(title, key) for title, model in SECTIONS.items() for key in model.model_fields]
PATHS_OF_THE_FILE = ("name", "root")
"""Required of a Dataset, and filled from the file's place by `read_dataset`."""


def value(cell: str) -> Any:
    return tomllib.loads(f"x = {cell.strip('`')}")["x"]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_is_described_and_no_other(title: str) -> None:
    assert list(rows(title)) == list(SECTIONS[title].model_fields)


@pytest.mark.parametrize(("title", "key"), KEYS)
def test_a_key_has_its_default_and_an_example_that_is_accepted(title: str, key: str) -> None:
    model = SECTIONS[title]
    kind, default, example, meaning = rows(title)[key]
    assert kind
    assert meaning
    read = model.model_validate({**LEAST[model], key: value(example)})
    field = model.model_fields[key]
    if default.startswith("`"):
        assert getattr(model.model_validate({**LEAST[model], key: value(default)}), key) == field.default
    elif field.is_required():
        assert default == "required" or key in PATHS_OF_THE_FILE
    else:
        assert not field.get_default(call_default_factory=True) or key == "time"
    if not field.is_required():
        assert getattr(read, key) != field.get_default(call_default_factory=True), f"the example of {key} is its default"


def test_every_defect_has_its_default_severity() -> None:
    table = rows("Defects and severities")
    assert list(table) == list(Defect)
    assert {Defect(name): Severity(cells[0].strip("`")) for name, cells in table.items()} == DEFAULT_SEVERITY
    assert all(f"`{severity}`" in section("Defects and severities") for severity in Severity)


def test_every_table_and_column_is_listed_with_its_key_and_clock() -> None:
    table = rows("Tables and columns")
    assert list(table) == list(TABLES)
    for name, (columns, key, clock) in table.items():
        spec = TABLES[name]
        expected = [f"**{c.name}**" if c.required else c.name for c in spec.columns if c.name != RECORDED_AT]
        assert columns.split(", ") == expected
        assert key == (" + ".join(spec.key) or "-")
        assert clock == (spec.event_time or "-") + (" (may be empty)" if spec.timeless else "")
        assert (RECORDED_AT in spec) == (name != "items")


def test_every_column_that_is_known_late_is_listed_with_what_reveals_it() -> None:
    assert {name: tuple(cells[0].split(", then ")) for name, cells in rows("Clocks").items()} == {
        f"{name}.{column.name}": column.revealed_by
        for name, spec in TABLES.items()
        for column in spec.columns
        if column.revealed_by
    }


def test_every_command_is_listed() -> None:
    assert sorted(name.removeprefix("koc ") for name in rows("Commands")) == COMMANDS


def test_the_file_shown_is_one_that_is_read(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    path = tmp_path / "dataset.toml"
    path.write_text(shown[1], encoding="utf-8")
    dataset = read_dataset(path)
    assert set(dataset.tables) == {"orders", "items", "ties", "attributes"}
    assert dataset.severity_of("orders", Defect.DANGLING_ID) is Severity.SET_ASIDE
    assert dataset.severity_of("attributes", Defect.DUPLICATE_KEY) is Severity.ERROR


def test_links_between_pages_lead_somewhere() -> None:
    for page in [REPO / "README.md", *(REPO / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
