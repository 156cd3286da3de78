"""The read routes, straight from the contracts: check, ask the owner, put together what several services know."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from functools import cache
from itertools import chain
from typing import Any, get_args
from urllib.parse import quote

from flask import Blueprint, Response, request

from services.gateway.entrance import Entrance
from services.gateway.upstream import Upstream
from shared.actor import Actor
from shared.contracts.accounts import FindAccountsByCard, GetAccount
from shared.contracts.base import Contract, catalogue
from shared.contracts.cards import PendingChange
from shared.contracts.history import FieldChange
from shared.contracts.tracking import FindRequests, SearchRequests
from shared.contracts.types import Money
from shared.errors import Unavailable
from shared.money import in_major_units
from shared.rights import may_send
from shared.web.app import flask_rule, json_body, json_response, load_input
from shared.web.cells import cell

LATEST_REQUESTS = 5
_CSV = "text/csv"
Addition = Callable[[dict[str, Any]], None]
Resolution = Callable[[dict[str, Any], Actor], dict[str, Any]]


def read_routes(entrance: Entrance, upstreams: Mapping[str, Upstream]) -> Blueprint:
    """Return a route for every read that is declared."""
    blueprint = Blueprint("reads", __name__)
    aggregate = Aggregate(upstreams["tracking"])
    beside: dict[Any, Callable[[str, Actor], Any]] = {GetAccount: aggregate.latest_requests}
    # Every history, and what is about to change.
    after: dict[Any, Addition] = dict.fromkeys((FieldChange, PendingChange), aggregate.add_tracking_numbers)
    before: dict[Any, Resolution] = {SearchRequests: CardNumbers(upstreams["accounts"]).resolve}
    for contract in catalogue.reads():
        window = _Window(
            contract,
            entrance,
            upstreams[contract.owner],
            before=before.get(contract.cls),
            beside=beside.get(contract.cls),
            after=after.get(contract.returns),
        )
        method = "POST" if contract.sends_body else "GET"
        blueprint.add_url_rule(
            flask_rule(contract), contract.name.replace(".", "-"), window.show, methods=[method]
        )
    return blueprint


class _Window:
    """Shows one kind of read.

    ``before`` turns the criteria in a body into those that the owner understands, ``beside`` is fetched while the owner
    answers, ``after`` adds to what it answered.
    """

    def __init__(
        self,
        contract: Contract,
        entrance: Entrance,
        owner: Upstream,
        *,
        before: Resolution | None,
        beside: Callable[[str, Actor], Any] | None,
        after: Addition | None,
    ) -> None:
        self._contract = contract
        self._entrance = entrance
        self._owner = owner
        self._before = before
        self._beside = beside
        self._after = after

    def show(self, **path: str) -> Response:
        """Answer the read as JSON, or a list as CSV where that is what is asked for."""
        contract = self._contract
        actor = self._entrance.visitor(self._entrance.session()).actor
        self._entrance.check_function(contract, actor)
        question = load_input(contract, path)
        self._entrance.check_places(contract, actor, self._entrance.look_up(contract, question))
        aside = _pool().submit(self._beside, next(iter(path.values())), actor) if self._beside else None
        found = self._ask(path, actor)
        if aside:
            found.update(aside.result())
        if self._after:
            self._after(found)
        return self._response(found)

    def _ask(self, path: Mapping[str, str], actor: Actor) -> Any:
        route = (self._contract.route or "").format(
            **{name: quote(value, safe="") for name, value in path.items()}
        )
        if self._contract.sends_body:
            body = json_body()
            return self._owner.post(route, self._before(body, actor) if self._before else body, actor)
        return self._owner.get(route, request.args.to_dict(flat=False), actor)

    def _response(self, found: Any) -> Response:
        if self._contract.listing and request.accept_mimetypes.best_match(["application/json", _CSV]) == _CSV:
            return _as_csv(self._contract, found)
        answer = json_response(found)
        if not self._contract.listing:
            answer.add_etag()
            if "version" in found:
                # Commands go by the version: what others add to the answer changes the tag, but not what is read.
                answer.set_etag(f"{found['version']}-{answer.get_etag()[0]}")
            answer.make_conditional(request)
        return answer


class Aggregate:
    """What tracking adds to the answers of other services; while it is away, they are answered without."""

    def __init__(self, tracking: Upstream) -> None:
        self._tracking = tracking

    def latest_requests(self, account_id: str, actor: Actor) -> dict[str, Any]:
        """Return the latest requests of a card account, for its profile."""
        if not may_send(actor, FindRequests.contract):
            return {"last_requests": None}
        try:
            criteria = {"account_id": account_id, "limit": LATEST_REQUESTS}
            return {"last_requests": self._tracking.get("/tracking", criteria, actor)["data"]}
        except Unavailable:
            return {"last_requests": None}

    def add_tracking_numbers(self, page: dict[str, Any]) -> None:
        """Name the request of each change, in a history or to come (ACC-18, Part 2 no. 1)."""
        ids = sorted({change["command_id"] for change in page["data"]})
        try:
            found = self._tracking.post("/progress", {"command_ids": ids}) if ids else {}
        except Unavailable:
            found = {}
        for change in page["data"]:
            change["tracking_number"] = found.get(change["command_id"], {}).get("tracking_number")


class CardNumbers:
    """Has accounts find card numbers, as the caller: tracking gets to know none of them, and no account out of sight."""

    def __init__(self, accounts: Upstream) -> None:
        self._accounts = accounts

    def resolve(self, criteria: dict[str, Any], actor: Actor) -> dict[str, Any]:
        """Return the criteria with the accounts of the card numbers in place of these."""
        numbers = criteria.get("card_numbers")
        rest = {name: value for name, value in criteria.items() if name != "card_numbers"}
        if numbers is None:
            return rest
        route = FindAccountsByCard.contract.route or ""
        found = self._accounts.post(route, {"card_numbers": numbers}, actor)["data"]
        ids = {row["account_id"] for row in found}
        if criteria.get("account_ids") is not None:
            ids &= set(criteria["account_ids"])
        return {**rest, "account_ids": sorted(ids)}


@cache
def _pool() -> ThreadPoolExecutor:
    """Return the threads for what is fetched beside; made at the first use, as a forked process needs its own."""
    return ThreadPoolExecutor(max_workers=16, thread_name_prefix="beside")


def _as_csv(contract: Contract, page: Mapping[str, Any]) -> Response:
    assert contract.returns
    answer = Response(_lines(contract.returns, page["data"]), content_type=f"{_CSV}; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{contract.name.partition(".")[2]}.csv"'
    if page["next_cursor"]:
        answer.headers["X-Next-Cursor"] = page["next_cursor"]
    return answer


def _lines(view: type[Any], rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a line for each row; money takes two columns, the amount as a decimal number and its currency."""
    columns = [(field.name, _is_money(field.type)) for field in fields(view)]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(chain(*((name, f"{name}_currency") if money else (name,) for name, money in columns)))
    for row in rows:
        cells = (_money(row.get(name)) if money else (cell(row.get(name)),) for name, money in columns)
        writer.writerow(chain(*cells))
    return text.getvalue()


def _is_money(hint: Any) -> bool:
    return Money in (hint, *get_args(hint))


def _money(value: Mapping[str, Any] | None) -> tuple[str, str]:
    if value is None:
        return "", ""
    return cell(in_major_units(value["amount"], value["currency"])), value["currency"]
