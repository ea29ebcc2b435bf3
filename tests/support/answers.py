"""Checks answers of the API against the OpenAPI document that the program makes of its tables.

    client = httpx.Client(..., event_hooks={"response": [answers.check]})

An answer must have a status that its route names, the media type, and the schema of it: no member
may be missing, and none may be there that the document does not know. Each checked answer is also
noted in the folder $STOA_ANSWERS, if there is one, so that a run can tell which routes no test
called.
"""

import functools
import json
import os
import re
import subprocess
from pathlib import Path

from jsonschema import Draft202012Validator, FormatChecker, RefResolver

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / os.environ.get("STOA_BUILD", "build") / "src/api/api_document"
METHODS = ("get", "put", "post", "delete", "patch")


class Wrong(AssertionError):
    """An answer is not what the OpenAPI document promises."""


@functools.cache
def document():
    return json.loads(subprocess.run([DOCUMENT, "openapi"], check=True, capture_output=True,
                                     text=True).stdout)


@functools.cache
def routes():
    """[(method, path with {names}, what its paths look like)]"""
    found = []
    for path, operations in document()["paths"].items():
        parts = re.split(r"\{\w+\}", path)
        pattern = re.compile("[^/]+".join(map(re.escape, parts)))
        found += [(method.upper(), path, pattern) for method in operations if method in METHODS]
    return found


def route_of(method, path):
    """The route's path with {names}, or None."""
    for route_method, template, pattern in routes():
        if route_method == method and pattern.fullmatch(path):
            return template
    return None


@functools.cache
def validator(method, template, status, media_type):
    """Of the answer's body."""
    answers = document()["paths"][template][method.lower()]["responses"]
    status = status if status in answers else f"{status[0]}XX"
    if status not in answers:
        raise Wrong(f"{method} {template} never answers {status}, says the document")
    if media_type not in answers[status]["content"]:
        raise Wrong(f"{method} {template} never answers {status} with {media_type}")
    return Draft202012Validator(answers[status]["content"][media_type]["schema"],
                                resolver=RefResolver("", document()),
                                format_checker=FormatChecker())


@functools.cache
def problem_validator():
    """Of what is refused before a route is found."""
    return Draft202012Validator({"$ref": "#/components/schemas/Problem"},
                                resolver=RefResolver("", document()))


def check_body(body, schema, what):
    errors = sorted(schema.iter_errors(body), key=lambda error: list(error.absolute_path))
    if errors:
        told = "\n".join(f"  /{'/'.join(map(str, error.absolute_path))}: {error.message[:400]}"
                         for error in errors[:8])
        raise Wrong(f"{what} is not as the OpenAPI document says:\n{told}")


def note(method, template, status):
    folder = os.environ.get("STOA_ANSWERS")
    if folder:
        with (Path(folder) / str(os.getpid())).open("a") as file:
            file.write(f"{method} {template} {status}\n")


def check(response):
    """A hook of httpx: reads the answer whole and checks it."""
    response.read()
    request = response.request
    template = route_of(request.method, request.url.path)
    media_type = response.headers.get("content-type")
    what = f"{request.method} {request.url.path}: the answer {response.status_code}"
    if request.method == "HEAD" or not response.content:
        raise Wrong(f"{what} has no body")
    if template is None:
        check_body(response.json(), problem_validator(), what)
        return
    body = response.json() if media_type.endswith("json") else response.text
    check_body(body, validator(request.method, template, str(response.status_code), media_type),
               what)
    note(request.method, template, response.status_code)
