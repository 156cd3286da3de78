"""Any mix of rows, against what should become of each (Part 2 no. 8)."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.accounts.tests.bulk.files import PA, finish, items, upload
from services.accounts.tests.programme import RETAIL, Programme
from shared.contracts.accounts import AccountStatus, CancelReason
from shared.contracts.bulk import CancelAccounts, SubmitCancellations
from shared.ids import new_id

ROWS = st.lists(
    st.sampled_from(["good", "gone", "theirs", "nobody", "repeated", "no reason", "nonsense", "suspended"]),
    min_size=1,
    max_size=12,
)


@given(rows=ROWS, changes_between=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_mix_of_rows_gives_each_exactly_one_outcome(
    programme: Programme, rows: list[str], changes_between: bool
) -> None:
    """Good ones are carried out, or refused for what happened since the dry run; the others keep their finding."""
    seen: list[str] = []
    lines, expected = ["account_id,reason"], []
    for row in rows:
        made: dict[str, Callable[[], str]] = {
            "gone": lambda: programme.insert_account(status=AccountStatus.CANCELLED),
            "suspended": lambda: programme.insert_account(status=AccountStatus.SUSPENDED),
            "theirs": lambda: programme.insert_account(RETAIL),
            "nobody": lambda: new_id("acc"),
            "nonsense": lambda: "x",
            "repeated": lambda: seen[0] if seen else programme.insert_account(),
        }
        account = made.get(row, programme.insert_account)()
        fresh = account not in seen
        if row != "nonsense" and row != "no reason":
            seen.append(account)
        lines.append(f"{account},{'' if row == 'no reason' else 'not_needed'}")
        good = row in ("good", "suspended") or (row == "repeated" and fresh)
        expected.append((account, "good" if good else "bad"))
    bulk = upload(programme, "cancellations", "\n".join(lines))
    to_do = [account for account, what in expected if what == "good"]
    assert (bulk["waiting"], bulk["rows"]) == (len(to_do), len(rows))
    beaten = to_do[:1] if changes_between else []
    if beaten:
        programme.send(CancelAccounts(account_ids=beaten, reason=CancelReason.FRAUD), PA)
    asked = programme.send(SubmitCancellations(bulk_id=bulk["bulk_id"], skip_findings=True), PA)
    finish(programme)

    found = items(programme, bulk["bulk_id"])
    assert [item["row"] for item in found] == list(range(2, len(rows) + 2))
    for item, (account, what) in zip(found, expected, strict=True):
        done = what == "good" and account not in beaten
        assert item["outcome"] == ("carried_out" if done or (not to_do and what == "good") else "refused")
        assert (item["code"] is None) is done
    ends = [kind for kind, _ in programme.answers(asked)]
    assert ends == (["accepted", "completed"] if to_do else ["rejected"])
    for account in to_do:
        assert len([change for change in programme.changes(account) if change.field == "status"]) == 1
