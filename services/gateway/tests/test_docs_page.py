"""The API's documentation is served from our own origin, and its page can load nothing else."""

import re
from urllib.parse import urljoin

import pytest
from flask import Flask
from flask.testing import FlaskClient

from services.gateway.docs_page import ASSETS, documentation

DOCUMENT = {"openapi": "3.1.0", "info": {"title": "Cardwork", "version": "1"}, "paths": {}}
PAGE = "/api/v1/docs"


@pytest.fixture
def client() -> FlaskClient:
    app = Flask("gateway", static_folder=None)
    app.register_blueprint(documentation(DOCUMENT))
    return app.test_client()


def page_of(client: FlaskClient) -> str:
    return client.get(PAGE).get_data(as_text=True)


def test_the_document_is_served(client: FlaskClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.content_type == "application/json"
    assert answer.json == DOCUMENT


def test_a_client_that_has_the_document_is_told_so(client: FlaskClient) -> None:
    tag = client.get("/api/v1/openapi.json").headers["ETag"]
    assert client.get("/api/v1/openapi.json", headers={"If-None-Match": tag}).status_code == 304


def test_all_that_the_page_loads_is_ours_and_there(client: FlaskClient) -> None:
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page_of(client))
    assert len(loaded) >= 4
    for link in loaded:
        assert client.get(urljoin(PAGE, link)).status_code == 200, link
        assert "//" not in link


def test_the_page_reads_our_document_and_asks_no_other_origin(client: FlaskClient) -> None:
    script = client.get("/api/v1/docs/start.js")
    assert script.mimetype == "text/javascript"
    assert 'new URL("openapi.json"' in script.get_data(as_text=True)
    assert "validatorUrl: null" in script.get_data(as_text=True)
    assert "http" not in script.get_data(as_text=True)


def test_no_script_or_style_stands_in_the_page(client: FlaskClient) -> None:
    assert re.findall(r"<script[^>]*>([^<]+)", page_of(client)) == []
    assert not re.search(r"<style|\bstyle=|\bon\w+=|javascript:", page_of(client))


def test_the_policy_allows_our_own_files_only(client: FlaskClient) -> None:
    policy = client.get(PAGE).headers["Content-Security-Policy"]
    rules = {name: sources for name, *sources in (rule.split() for rule in policy.split("; "))}
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == ["'self'"]
    assert rules["frame-ancestors"] == ["'none'"]
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", ASSETS)
def test_an_asset_is_served_with_its_type_and_may_be_kept(client: FlaskClient, name: str) -> None:
    answer = client.get(f"{PAGE}/assets/{name}")
    assert answer.status_code == 200
    assert answer.mimetype == ASSETS[name]
    assert "max-age" in answer.headers["Cache-Control"]
    assert len(answer.data) > 100


@pytest.mark.parametrize(
    "name", ["index.html", "oauth2-redirect.html", "VERSION", "..%2f__init__.py", "../LICENSE"]
)
def test_nothing_else_of_the_package_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"{PAGE}/assets/{name}").status_code == 404
