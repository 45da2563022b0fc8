"""The OpenAPI document is true to the routes, and the page that shows it needs no other host."""

from __future__ import annotations

import re
from typing import Any

import pytest

from portgrad.api.app import create_app
from portgrad.api.auth.scopes import TABLE
from portgrad.api.bounds import bounds
from portgrad.api.problems import MEDIA_TYPE
from portgrad.codecs import options
from portgrad.codecs.kinds import FORMS
from portgrad.codecs.model import Kind
from portgrad.settings import Settings
from portgrad.store import LocalStore
from support.fake_compute import FakeCompute
from support.http import AppClient, serving

CALLED = {"200", "400", "404", "406", "413", "415", "422", "503"}
OPERATIONS = [
    ("/nets", "post", {"200", "201", "400", "409", "413", "415", "422", "503"}),
    ("/nets", "get", {"200", "422", "503"}),
    ("/nets/{net}", "get", {"200", "404", "422", "503"}),
    ("/nets/{net}", "delete", {"204", "403", "404", "422", "503"}),
    ("/nets/{net}/shared", "put", {"204", "403", "404", "422", "503"}),
    ("/nets/{net}/shared", "delete", {"204", "403", "404", "422", "503"}),
    ("/nets/{net}/model", "get", {"200", "404", "422", "503"}),
    ("/nets/{net}/gradient.onnx", "get", {"200", "404", "422", "503"}),
    *((f"/nets/{{net}}/{kind}", "post", CALLED) for kind in FORMS),
    ("/quarantine", "get", {"200"}),
    ("/quarantine/{net_id}", "delete", {"204", "404"}),
    ("/operators", "get", {"200"}),
    ("/healthz", "get", {"200"}),
    ("/readyz", "get", {"200", "503"}),
    ("/metrics", "get", {"200"}),
]
# What every route may answer that is not for everybody.
REFUSED = {"401", "403", "429"}
OPEN = {"/operators", "/healthz", "/readyz"}


@pytest.fixture
def document(http: AppClient) -> Any:
    return http.get("/openapi.json").json()


def test_operations_and_their_answers(document: Any) -> None:
    found = {
        (path, method, frozenset(operation["responses"]))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert found == {
        (path, method, frozenset(answers | {"default"} | (set() if path in OPEN else REFUSED)))
        for path, method, answers in OPERATIONS
    }


def test_scopes_are_told_and_credentials_offered_where_they_are_asked_for(
    document: Any, store: LocalStore, compute: FakeCompute
) -> None:
    with serving(create_app(store, compute, Settings(auth="required"))) as http:
        asking = http.get("/openapi.json").json()
    scheme = asking["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert "securitySchemes" not in document["components"]
    for path, method, _ in OPERATIONS:
        operation, free = asking["paths"][path][method], document["paths"][path][method]
        assert operation.get("security") == (None if path in OPEN else [{"bearer": []}])
        assert "security" not in free
        scope = TABLE[method.upper(), path]
        assert (f"the scope `{scope}`" in free.get("description", "")) == (scope is not None)
        if scope:
            assert "Retry-After" in free["responses"]["429"]["headers"]
            assert "WWW-Authenticate" in free["responses"]["401"]["headers"]


def test_every_answer_tells_its_headers_and_problems(document: Any) -> None:
    for path, method, _ in OPERATIONS:
        for status, answer in document["paths"][path][method]["responses"].items():
            assert answer["headers"].keys() >= {"X-Request-Id", "Server-Timing"}
            if status == "default" or int(status) >= 400:
                assert answer["content"].keys() == {MEDIA_TYPE}


def test_references_lead_somewhere(document: Any) -> None:
    names = set(re.findall(r"'#/components/schemas/(\w+)'", str(document)))
    assert names == set(document["components"]["schemas"])


def test_nothing_is_newer_than_its_version(document: Any) -> None:
    assert document["openapi"] == "3.0.3"
    text = str(document)
    for word in ("'null'", "'const'", "'prefixItems'", "exclusiveMinimum", "'examples': ["):
        assert word not in text


@pytest.mark.parametrize("kind", FORMS)
def test_the_fields_of_requests(document: Any, kind: Kind) -> None:
    form = FORMS[kind]
    told = document["components"]["schemas"][f"{kind.capitalize()}Request"]
    assert told["properties"].keys() == form.options.model_fields.keys() | {*form.holding}
    assert told["additionalProperties"] is False


@pytest.mark.parametrize("call", FORMS)
def test_parameters_can_be_sent_with_the_example_of_a_body(document: Any, call: str) -> None:
    """Swagger UI fills in the examples of parameters, and `options` goes with binary bodies."""
    parameters = document["paths"][f"/nets/{{net}}/{call}"]["post"]["parameters"]
    assert {p["name"]: p.get("example") for p in parameters} == {"net": "chain", "options": None}
    told = next(p["description"] for p in parameters if p["name"] == "options")
    query = re.findall(r"`(.+)`", told)[0]
    allowed = bounds(Settings(), lambda size: None)
    assert options.from_query(query, "gradient", allowed) == ({"outputs": True}, {}, "lists")


def test_the_page_needs_no_other_host(http: AppClient) -> None:
    page = http.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "://" not in page.text
    assert "validatorUrl: null" in page.text
    loaded = re.findall(r'(?:src|href|url)[=:] ?"([^"]+)"', page.text)
    assert len(loaded) == 4
    for address in loaded:
        assert not address.startswith("/")
        assert http.get(f"/{address}").status_code == 200
    style = http.get("/docs/swagger-ui.css").text
    assert "@import" not in style
    assert not re.search(r"url\(['\"]?(https?:)?//", style)


@pytest.mark.parametrize("asset", ["index.html", "..%2F__init__.py", "swagger-ui.css.map"])
def test_the_page_has_no_other_files(http: AppClient, asset: str) -> None:
    answer = http.get(f"/docs/{asset}")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_route")
