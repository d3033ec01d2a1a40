import json
import subprocess
import sys

from fastapi import FastAPI

from tests.paths import REPO

SLOW_TO_LOAD = {"torch", "mlflow", "lightgbm", "matplotlib", "igraph", "ibis"}


def test_every_operation_explains_itself_and_declares_its_problems(app: FastAPI) -> None:
    document = app.openapi()
    assert document["info"]["title"] == "kocscout"
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    tags = {tag["name"] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            named = f"{method} {path}"
            assert operation.get("description"), f"{named} has no description"
            assert operation["tags"], f"{named} has no tag"
            assert set(operation["tags"]) <= tags, f"{named} has a tag that nothing describes"
            if path.startswith("/v1"):
                told = {status for status, answer in operation["responses"].items() if _is_problem(answer)}
                assert {"401", "403", "422", "429", "500", "503"} <= told, named


def _is_problem(answer: dict[str, object]) -> bool:
    content = answer.get("content", {})
    return isinstance(content, dict) and "application/problem+json" in content


def test_every_reference_of_the_document_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])
    assert "Problem" in names


def test_the_application_starts_without_what_is_slow_to_load() -> None:
    code = "import sys, serving.api.app; print(*{module.partition('.')[0] for module in sys.modules})"
    found = subprocess.run([sys.executable, "-c", code], cwd=REPO, check=True, capture_output=True, text=True).stdout.split()
    assert not SLOW_TO_LOAD & set(found)
