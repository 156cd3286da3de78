"""Uploaded files as their sender sees them."""

from typing import Any

from services.accounts.tests.programme import MASTER, Programme, user
from shared.actor import Actor
from shared.contracts.bulk import CSV, BulkState, ListBulks

_GRANTED = [f"accounts.{what}" for what in ("accounting", "cancel", "holder", "suspend", "transfer", "view")]
PA = user(MASTER, user_id="pa", granted=_GRANTED)
NOBODY = "acc_" + "0" * 26


def cancellations(*accounts: str) -> str:
    """Return a file that has these accounts cancelled."""
    return "account_id,reason\n" + "".join(f"{account},not_needed\n" for account in accounts)


def upload(
    programme: Programme,
    kind: str,
    text: str | bytes,
    actor: Actor = PA,
    media_type: str = CSV,
    status: int = 201,
) -> Any:
    """Upload a file and return the answer, which has to be of this status."""
    body = text.encode() if isinstance(text, str) else text
    answer = programme.client.post(
        f"/bulk/{kind}", data=body, content_type=media_type, headers=programme.headers(actor)
    )
    assert answer.status_code == status, answer.text
    return answer.get_json()


def items(programme: Programme, bulk_id: str, actor: Actor = PA, **criteria: Any) -> list[Any]:
    """Return the rows of a file."""
    found: list[Any] = programme.get(f"/bulk/{bulk_id}/items", actor, **criteria)["data"]
    return found


def finish(programme: Programme) -> None:
    """Let the jobs go round until no file is left to do."""
    for _ in range(100):
        programme.tick()
        if not programme.read(ListBulks(state=BulkState.RUNNING)).data:
            return
    raise AssertionError("the files never end")
