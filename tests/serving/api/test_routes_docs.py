import re

from serving.api.routes_docs import page
from tests.serving.api.conftest import Caller


def test_every_operation_is_on_the_page_and_nothing_comes_from_elsewhere(caller: Caller) -> None:
    client = caller()
    text = client.get("/docs").text
    document = client.get("/openapi.json").json()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in text
    assert not re.search(r"https?://|//|<script|src=", text)


def test_words_of_the_document_are_text_and_not_markup() -> None:
    operation = {"tags": ["a"], "summary": "<b>", "description": "a `<i>` b", "responses": {"200": {"description": "&"}}}
    document = {
        "info": {"title": "<t>", "version": "1", "description": "d"},
        "tags": [{"name": "a", "description": "of"}],
        "paths": {"/x": {"get": operation}},
    }
    text = page(document)
    assert "<b><i>" not in text
    assert "a <code>&lt;i&gt;</code> b" in text
    assert "<h1>&lt;t&gt; 1</h1>" in text
