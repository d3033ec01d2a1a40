"""The notebooks run from top to bottom on what is installed, and are committed as such a run left them."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.paths import REPO

NOTEBOOKS = sorted((REPO / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])
MOST_BYTES = 400_000
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|opt|work|mnt|var|Users|private)/|\b[A-Z]:\\")


@pytest.fixture(scope="session")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first notebook leaves the market for the others, and no other run has left one."""
    return tmp_path_factory.mktemp("notebooks")


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(notebook: NotebookNode) -> list[str]:
    """Sources and all that cells printed; pictures are left out."""
    found = [cell.source for cell in notebook.cells]
    for cell in code_cells(notebook):
        for output in cell.outputs:
            found.append(output.get("text", ""))
            found += [content for kind, content in output.get("data", {}).items() if kind.startswith("text/")]
    return found


def test_there_are_five_in_the_order_of_the_work() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "01_tables_and_graph",
        "02_features_and_labels",
        "03_train_and_compare",
        "04_explain_a_candidate",
        "05_read_an_outreach_experiment",
    ]


@EACH
def test_a_notebook_runs_from_top_to_bottom(path: Path, temporary: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}})
    # The tree under test, wherever else one is installed.
    client.execute(env={**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(temporary)})
    warned = [output.text for cell in code_cells(notebook) for output in cell.outputs if output.get("name") == "stderr"]
    assert not warned


@EACH
def test_a_notebook_is_committed_as_one_whole_run_left_it(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    figures = ["image/png" in data for data in (output.get("data", {}) for output in outputs)
               if data.get("text/plain", "").startswith("<Figure")]  # fmt: skip
    assert len(figures) >= 2
    assert all(figures)
    assert path.stat().st_size < MOST_BYTES


@EACH
def test_a_notebook_names_no_path_of_the_machine_that_ran_it(path: Path) -> None:
    found = [text for text in texts(nbformat.read(path, as_version=4)) if ABSOLUTE_PATH.search(text)]
    assert not found


@EACH
def test_links_of_a_notebook_lead_somewhere(path: Path) -> None:
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", cell.source):
                assert (path.parent / target).exists(), f"{path.name} links to {target}"
