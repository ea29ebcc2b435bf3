"""The OpenAPI document: it is one, it is the program's, and checks against it bite."""

import re
import subprocess

import answers
import httpx
import pytest
from jsonschema import Draft202012Validator

METHODS = {"get", "post", "delete", "put", "patch"}


def references(node):
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "$ref":
                yield value
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def operations():
    for path, methods in answers.document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_the_cloud_tells_the_document_that_the_program_prints(town):
    assert town.ask("GET", "/v1/openapi.json") == answers.document()


def test_the_document_is_openapi_as_version_3_1_has_it():
    document = answers.document()
    assert set(document) == {"openapi", "info", "security", "paths", "components"}
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert {"title", "version"} <= set(document["info"])
    assert document["security"] == [{"token": []}]
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    for path, method, operation in operations():
        assert path.startswith("/") and method in METHODS
        assert set(operation) <= {"operationId", "summary", "parameters", "requestBody",
                                  "responses", "security"}
        for status, answer in operation["responses"].items():
            assert re.fullmatch(r"[1-5](\d\d|XX)", status)
            assert set(answer) == {"description", "content"} and answer["description"]


def test_the_parameters_of_a_path_are_those_in_its_braces():
    for path, _, operation in operations():
        parameters = operation.get("parameters", [])
        assert all(set(parameter) == {"name", "in", "required", "description", "schema"}
                   for parameter in parameters)
        named = [(parameter["in"], parameter["name"]) for parameter in parameters]
        assert len(named) == len(set(named))
        assert [name for place, name in named if place == "path"] == re.findall(r"{(\w+)}", path)
        assert all(parameter["required"] for parameter in parameters
                   if parameter["in"] == "path")


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_schema_is_a_json_schema_and_every_reference_leads_to_one():
    schemas = answers.document()["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    told = set(references(answers.document()))
    assert told == {f"#/components/schemas/{name}" for name in schemas}


def response(method, path, status, body, media_type="application/json"):
    return httpx.Response(status, json=body, headers={"content-type": media_type},
                          request=httpx.Request(method, f"http://cloud{path}"))


APP = {"id": "app_1", "app": "acme/shop", "account": "acme", "name": "shop",
       "created": "2026-11-24T04:10:57.123Z"}
PROBLEM = {"type": "urn:stoa:problem:not-found", "title": "t", "status": 404, "detail": "d"}
BAD_ANSWERS = {
    "a member is missing": ("POST", "/v1/apps", 201, {"id": "app_1"}),
    "a member is null": ("POST", "/v1/apps", 201, {**APP, "id": None}),
    "a member is unknown": ("POST", "/v1/apps", 201, {**APP, "secret": "x"}),
    "a time is none": ("POST", "/v1/apps", 201, {**APP, "created": 7}),
    "an item of a list is wrong": ("GET", "/v1/apps", 200, {"items": [{}], "next": None}),
    "a list has no next": ("GET", "/v1/apps", 200, {"items": []}),
    "a status is not promised": ("GET", "/v1/apps", 201, {"items": [], "next": None}),
    "a problem's type is another route's": ("GET", "/v1/accounts", 404, PROBLEM),
}


@pytest.fixture
def unnoted(monkeypatch):
    """Answers that no cloud gave are not noted as calls of a route."""
    monkeypatch.delenv("STOA_ANSWERS", raising=False)


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_an_answer_that_is_not_as_promised_fails_the_test_that_asked(name, unnoted):
    with pytest.raises(answers.Wrong):
        answers.check(response(*BAD_ANSWERS[name]))


def test_an_answer_that_is_as_promised_passes(unnoted):
    answers.check(response("POST", "/v1/apps", 201, APP))
    answers.check(response("GET", "/v1/apps", 404, PROBLEM, "application/problem+json"))
    with pytest.raises(answers.Wrong):
        answers.check(response("POST", "/v1/apps", 201, APP, "text/plain"))


def test_an_answer_is_noted_by_its_route(tmp_path, monkeypatch):
    monkeypatch.setenv("STOA_ANSWERS", str(tmp_path))
    answers.check(response("POST", "/v1/apps", 201, APP))
    assert [file.read_text() for file in tmp_path.iterdir()] == ["POST /v1/apps 201\n"]
    assert answers.route_of("GET", "/v1/services/a/logs") == "/v1/services/{name}/logs"
    assert answers.route_of("GET", "/v1/services/a/logs/b") is None


# ---- the command line


BUILD = answers.DOCUMENT.parent.parent


def routes_header():
    """What the build wrote of the table, for the command line to ask by."""
    return (BUILD / "cli/routes.h").read_text()


def test_the_command_line_has_a_function_for_each_operation_and_no_path_of_its_own():
    functions = set(re.findall(r"^static inline struct cli_request route_(\w+)\(",
                               routes_header(), re.MULTILINE))
    assert functions == {operation["operationId"] for _, _, operation in operations()}
    for file in sorted((answers.ROOT / "src/cli").glob("*.[ch]")):
        code = re.sub(r"/\*.*?\*/", "", file.read_text(), flags=re.DOTALL)
        if file.name != "cli_test.c":
            assert not re.search(r'"/(v1|metrics|healthz)', code), file.name


ASKING = """
#include "cli/routes.h"
struct cli_request ask(void);
struct cli_request ask(void)
{
	return route_accounts_statement((struct route_accounts_statement){%s});
}
"""


@pytest.mark.parametrize("arguments, route, compiles", [
    ('.account = "acme", .period = "2026-11"', "accounts_statement", True),
    ('.account = "acme", .month = "2026-11"', "accounts_statement", False),
    ('.account = 7', "accounts_statement", False),
    ('.account = "acme"', "accounts_summary", False),
])
def test_what_the_table_does_not_have_does_not_compile(arguments, route, compiles):
    code = (ASKING % arguments).replace("accounts_statement", route)
    done = subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-Werror", "-fsyntax-only",
                           f"-I{answers.ROOT / 'src'}", f"-I{BUILD}", "-x", "c", "-"],
                          input=code, capture_output=True, text=True)
    assert (done.returncode == 0) == compiles, done.stderr
