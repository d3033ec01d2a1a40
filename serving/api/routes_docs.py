"""A page that lists the operations, made of the OpenAPI document alone: no scripts, nothing from other hosts."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request, Response

router = APIRouter(include_in_schema=False)

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2733}
code{background:#f2f4f7;padding:.1em .3em;border-radius:3px}table{border-collapse:collapse;margin:.5rem 0}
td,th{border:1px solid #d5dbe3;padding:.25rem .6rem;text-align:left;vertical-align:top}
details{border:1px solid #d5dbe3;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}summary{cursor:pointer}"""


@router.get("/docs")
def docs(request: Request) -> Response:
    """The operations, by tag."""
    return Response(page(request.app.openapi()), media_type="text/html")


def page(document: dict[str, Any]) -> str:
    """The HTML page of an OpenAPI document."""
    info = document["info"]
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title><style>{STYLE}</style>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        *(f"<p>{_text(paragraph)}</p>" for paragraph in info["description"].strip().split("\n\n")),
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>',
    ]
    for tag in document["tags"]:
        parts.append(f"<h2>{escape(tag['name'])}</h2><p>{_text(tag['description'])}</p>")
        for path, methods in document["paths"].items():
            parts += [
                _operation(method, path, operation)
                for method, operation in methods.items()
                if tag["name"] in operation.get("tags", ())
            ]
    return "".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{escape(parameter['in'])}</td>"
        f"<td>{_text(parameter.get('description', ''))}</td></tr>"
        for parameter in operation.get("parameters", ())
    ]
    parameters = f"<table><tr><th>parameter<th>in<th>meaning</tr>{''.join(rows)}</table>" if rows else ""
    body = f"<p>Body: {_shapes(operation['requestBody'])}</p>" if "requestBody" in operation else ""
    answers = "; ".join(
        f"{status} {_text(answer['description'])} {_shapes(answer)}" for status, answer in operation["responses"].items()
    )
    said = "".join(f"<p>{_text(paragraph)}</p>" for paragraph in operation.get("description", "").split("\n\n"))
    head = f"<b>{method.upper()}</b> <code>{escape(path)}</code> {escape(operation.get('summary', ''))}"
    return f"<details><summary>{head}</summary>{said}{parameters}{body}<p>Answers: {answers}</p></details>"


def _shapes(of: dict[str, Any]) -> str:
    """The media types of a body or answer, with the names of their schemas."""
    kinds = []
    for kind, content in of.get("content", {}).items():
        name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
        kinds.append(f"<code>{escape(kind)}</code>{' ' + escape(name) if name else ''}")
    return ", ".join(kinds)


def _text(text: str) -> str:
    """Prose with code between backticks."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))
