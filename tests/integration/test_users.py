"""From the enrolment of a company to a user's last session: rights, consent, codes and mails (IDN-01 to IDN-05, IDN-09)."""

import re
import secrets
from dataclasses import dataclass
from email.message import EmailMessage
from functools import cache
from typing import Any

import httpx
import pyotp
import pytest

from shared.testing.eventually import eventually
from shared.testing.installation import Installation, Portal

OPERATOR = "issuer_operator"
HELP_DESK = "issuer_help_desk"
PHRASE = "The keeper's green parrot"
_CODE = re.compile(r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b")
PASSWORD = "a quite unlikely sentence of mine"


@dataclass
class Firm:
    """A company that a test has enrolled, with the tree of control accounts below its master."""

    installation: Installation
    number: str
    master: str
    branch: str

    @property
    def operator(self) -> Portal:
        return self.installation.portal(OPERATOR)

    def enrol(self, role: str, *control_accounts: str, **changes: Any) -> "Newcomer":
        """Have a user enrolled, and return them with the mail address at which the code will arrive."""
        email = f"{secrets.token_hex(5)}@{self.number}.example"
        body = {
            "name": "Noor Newcomer",
            "email": email,
            "role": role,
            "company": self.number,
            "control_accounts": list(control_accounts) or [self.master],
            "secret_phrase": PHRASE,
            **changes,
        }
        answer = self.operator.send("/users", body, wait=10)
        assert answer.status_code == 200, answer.text
        return Newcomer(self.installation, answer.json()["result"]["user"], email)

    def user(self, role: str, *control_accounts: str) -> tuple[str, Portal]:
        """Return a user who has signed in: the name in routes, and the portal."""
        newcomer = self.enrol(role, *control_accounts)
        return newcomer.user, newcomer.come()


@dataclass
class Newcomer:
    """Somebody who was enrolled and has not signed in yet."""

    installation: Installation
    user: str
    email: str

    def mail(self, *words: str) -> EmailMessage:
        """Wait for the latest mail to this address that holds these words."""

        def look() -> EmailMessage | None:
            mine = [one for one in self.installation.mails() if self.email in one["To"]]
            fitting = [one for one in mine if all(word in text_of(one) for word in words)]
            return fitting[-1] if fitting else None

        found = eventually(look, describe=f"a mail to {self.email} with {words}")
        assert found is not None
        return found

    def code(self) -> str:
        """Return the access code that was mailed."""
        found = _CODE.search(text_of(self.mail("/enrol")))
        assert found
        return found[0]

    def enrolment(self, **changes: str) -> httpx.Response:
        """Choose a user ID and a password."""
        body = {
            "access_code": self.code(),
            "secret_phrase": PHRASE,
            "user_id": f"noor.{secrets.token_hex(5)}",
            "password": PASSWORD,
            **changes,
        }
        return httpx.post(f"{self.installation.url}/api/v1/enrolment", json=body, trust_env=False, timeout=30)

    def come(self) -> Portal:
        """Enrol and sign in."""
        answer = self.enrolment()
        assert answer.status_code == 201, answer.text
        return Portal(self.installation.url, {"user_id": answer.json()["user_id"], "password": PASSWORD})


def text_of(mail: EmailMessage) -> str:
    """Return the plain text of a mail."""
    content: str = mail.get_content()
    return content


@pytest.fixture
def firm(installation: Installation) -> Firm:
    """A company whose settings no test changes."""
    return _firm_of(installation)


@pytest.fixture
def new_firm(installation: Installation) -> Firm:
    """A company of the test's own."""
    return enrolled_firm(installation)


@cache
def _firm_of(installation: Installation) -> Firm:
    return enrolled_firm(installation)


def enrolled_firm(installation: Installation) -> Firm:
    """Have the issuer enrol a company with a master, an intermediate and a basic control account."""
    operator = installation.portal(OPERATOR)
    digits = f"{secrets.randbelow(10**10):010}"
    number, master, middle, branch = f"T{digits}", *(f"{digits}{place:05}" for place in (0, 1, 2))
    for body in (
        {
            "number": master,
            "name": "Firm",
            "level": "master",
            "company_name": "Firm",
            "company_number": number,
        },
        {"number": middle, "name": "Middle", "level": "intermediate", "parent": master},
        {"number": branch, "name": "Branch", "level": "basic", "parent": middle},
    ):
        assert operator.send("/control-accounts", body, wait=10).status_code == 200
    company = {"number": number, "name": "Firm", "control_account": master, "language": "fr"}
    # Identity hears of a control account by an event, a moment after it was opened.
    eventually(
        lambda: operator.send("/companies", company, wait=10).status_code == 200,
        describe="the company is enrolled",
    )
    return Firm(installation, number, master, branch)


def test_a_user_comes_by_access_code_and_secret_phrase(firm: Firm) -> None:
    """IDN-01, IDN-02: enrolled by the issuer, a mail in the company's language, then an own user ID and password."""
    newcomer = firm.enrol("principal_programme_administrator")
    assert newcomer.mail()["Content-Language"] == "fr"

    wrong = newcomer.enrolment(secret_phrase="The keeper's grey parrot")
    assert (wrong.status_code, wrong.json()["code"]) == (401, "enrolment_failed")
    weak = newcomer.enrolment(password="password1234")
    assert (weak.status_code, weak.json()["errors"][0]["pointer"]) == (422, "/password")
    portal = newcomer.come()

    me = portal.get("/me")
    assert (me["company"], me["role"]) == (firm.number, "principal_programme_administrator")
    assert me["control_accounts"] == [firm.master]
    again = newcomer.enrolment()
    assert (again.status_code, again.json()["code"]) == (401, "enrolment_failed"), "a code works once"


def test_the_secret_phrase_is_seen_nowhere(firm: Firm) -> None:
    """Masked in tracking; sealed on its way."""
    newcomer = firm.enrol("programme_manager")
    rows = firm.operator.get("/tracking", type="identity.enrol-user", limit=5)["data"]
    for row in rows:
        detail = firm.operator.http.get(f"/tracking/{row['tracking_number']}").text
        assert PHRASE not in detail
        assert newcomer.code() not in detail


def test_more_rights_wait_for_the_principals_consent(firm: Firm) -> None:
    """IDN-05: the help desk gives, the principal consents, and the next request of an open session has it."""
    principal_id, principal = firm.user("principal_programme_administrator")
    user, portal = firm.user("programme_manager")
    helper = firm.installation.portal(HELP_DESK)
    more = {"give": [{"function": "accounts.suspend", "control_account": firm.branch}]}
    answer = helper.send(f"/users/{user}/entitlements", more)
    number = answer.json()["tracking_number"]
    eventually(
        lambda: principal.get(f"/tracking/{number}")["status"] == "awaiting_approval",
        describe="consent is waited for",
    )
    assert "accounts.suspend" not in portal.get("/me")["functions"]
    assert portal.send(f"/tracking/{number}/approve").status_code == 403

    assert principal.send(f"/tracking/{number}/approve", wait=10).status_code == 200
    assert helper.settled(answer.json()["command_id"])["status"] == "completed"

    assert portal.get("/me")["grants"]["accounts.suspend"] == [firm.branch]
    (line, *_) = principal.get(f"/users/{user}/history")["data"]
    assert (line["field"], line["old"], line["new"]) == ("accounts.suspend", None, firm.branch)
    assert (line["actor"], line["command"]) == (helper.user_id, "identity.change-entitlements")
    assert line["tracking_number"] == number
    assert principal.get(f"/users/{principal_id}")["entitlements"]


def test_without_a_principal_nobody_gets_more(new_firm: Firm) -> None:
    """It is said at once, and nothing waits for ever."""
    newcomer = new_firm.enrol("programme_manager")
    more = {"give": [{"function": "accounts.suspend", "control_account": new_firm.branch}]}
    answer = new_firm.operator.send(f"/users/{newcomer.user}/entitlements", more, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (422, "nobody_can_consent")


def test_rights_are_taken_at_once(firm: Firm) -> None:
    """No consent for less, and an open session loses it with the next request."""
    user, portal = firm.user("principal_programme_administrator")
    assert portal.http.get("/users").status_code == 200
    helper = firm.installation.portal(HELP_DESK)
    less = {"take": [{"function": "users.view", "control_account": firm.master}]}
    assert helper.send(f"/users/{user}/entitlements", less, wait=10).status_code == 200
    assert portal.http.get("/users").status_code == 403
    again = helper.send(f"/users/{user}/entitlements", less, wait=10)
    assert (again.status_code, again.json()["code"]) == (422, "nothing_changes")


@pytest.mark.parametrize(
    ("give", "code"),
    [
        ({"function": "accounts.open", "control_account": "branch"}, "function_not_for_party"),
        ({"function": "accounts.cancel", "control_account": "*"}, "wrong_control_account"),
        ({"function": "accounts.cancel", "control_account": "999999999999999"}, "not_found"),
    ],
)
def test_what_cannot_be_given_is_refused(firm: Firm, give: dict[str, str], code: str) -> None:
    """Nobody gets what is not for them."""
    newcomer = firm.enrol("programme_manager")
    entitlement = {**give, "control_account": give["control_account"].replace("branch", firm.branch)}
    answer = firm.operator.send(f"/users/{newcomer.user}/entitlements", {"give": [entitlement]}, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (404 if code == "not_found" else 422, code)


def test_a_user_who_is_deactivated_is_out_at_once_and_may_come_back(firm: Firm) -> None:
    """IDN-04: the principal deactivates a leaver, the help desk reactivates."""
    _, principal = firm.user("principal_programme_administrator")
    user, portal = firm.user("programme_administrator", firm.branch)
    assert principal.send(f"/users/{user}/deactivate", wait=10).status_code == 200
    assert portal.http.get("/me").status_code == 401
    credentials = {"user_id": portal.user_id, "password": PASSWORD}
    assert portal.http.post("/sessions", json=credentials).status_code == 401
    assert principal.send(f"/users/{user}/reactivate").status_code == 403

    helper = firm.installation.portal(HELP_DESK)
    assert helper.send(f"/users/{user}/reactivate", wait=10).status_code == 200
    assert Portal(firm.installation.url, credentials).get("/me")["user_id"] == portal.user_id
    fields = {line["field"] for line in principal.get(f"/users/{user}/history")["data"]}
    assert "status" in fields


def test_a_forgotten_password_is_replaced_by_mail(firm: Firm) -> None:
    """IDN-03: the same answer for everybody, a link that works once, every session ends."""
    newcomer = firm.enrol("programme_manager")
    portal = newcomer.come()
    known, unknown = (
        portal.http.post("/password-reset", json={"user_id": user_id})
        for user_id in (portal.user_id, "nobody.at.all")
    )
    assert known.status_code == unknown.status_code == 202
    assert known.content == unknown.content
    token = re.search(r"#([\w-]{20,})", text_of(newcomer.mail("#")))
    assert token
    body = {"token": token[1], "password": "another quite unlikely sentence"}
    assert portal.http.post("/password-reset/confirm", json=body).status_code == 204
    assert portal.http.post("/password-reset/confirm", json=body).status_code == 401
    assert portal.http.get("/me").status_code == 401
    Portal(firm.installation.url, {"user_id": portal.user_id, "password": body["password"]})


def test_a_company_demands_a_second_factor(new_firm: Firm) -> None:
    """Without one nothing can be done but set one up; with it the password alone is not enough."""
    _, portal = new_firm.user("principal_programme_administrator")
    settings = {"second_factor_required": True}
    assert portal.send(f"/companies/{new_firm.number}/settings", settings, wait=10).status_code == 200
    me = portal.get("/me")
    assert (me["second_factor_needed"], me["functions"]) == (True, [])
    assert portal.http.get("/users").status_code == 403

    secret = portal.http.post("/me/second-factor").json()["secret"]
    generator = pyotp.TOTP(secret)
    confirmed = portal.http.post("/me/second-factor/confirm", json={"otp": generator.now()})
    codes = confirmed.json()["recovery_codes"]
    assert portal.get("/me")["functions"]

    credentials = {"user_id": portal.user_id, "password": PASSWORD}
    bare = portal.http.post("/sessions", json=credentials)
    assert (bare.status_code, bare.json()["code"]) == (401, "second_factor_needed")
    assert portal.http.post("/sessions", json={**credentials, "otp": codes[0]}).status_code == 201
    assert portal.http.post("/sessions", json={**credentials, "otp": codes[0]}).status_code == 401


def test_somebody_vouches_for_a_new_user(new_firm: Firm) -> None:
    """IDN-06: where the company demands it, no access code is mailed before."""
    voucher_id, voucher = new_firm.user("identity_voucher")
    assert (
        new_firm.operator.send(
            f"/companies/{new_firm.number}/settings", {"vouching_required": True}, wait=10
        ).status_code
        == 200
    )
    newcomer = new_firm.enrol("programme_administrator", new_firm.branch)
    early = new_firm.operator.send(f"/users/{newcomer.user}/access-code", wait=10)
    assert (early.status_code, early.json()["code"]) == (422, "not_vouched_for")
    assert not [one for one in new_firm.installation.mails() if newcomer.email in one["To"]]

    assert voucher.send(f"/users/{newcomer.user}/vouch", wait=10).status_code == 200

    newcomer.come()
    assert voucher_id != newcomer.user


def test_contact_data_change_and_both_addresses_hear_of_it(firm: Firm) -> None:
    """IDN-09: so that nobody's mail is turned elsewhere unseen."""
    newcomer = firm.enrol("programme_manager")
    portal = newcomer.come()
    other = f"new-{newcomer.email}"
    assert portal.send("/me/contact", {"email": other, "language": "de"}, wait=10).status_code == 200

    def told() -> set[str]:
        return {
            mail["To"]
            for mail in firm.installation.mails()
            if newcomer.email in mail["To"] and newcomer.code() not in text_of(mail)
        }

    eventually(lambda: len(told()) >= 2, describe="both addresses are told")
    again = portal.send("/me/contact", {"email": other}, wait=10)
    assert (again.status_code, again.json()["code"]) == (422, "nothing_changes")


def test_a_control_account_is_one_companys(firm: Firm) -> None:
    """Two companies at one master would see each other's users."""
    body = {"number": f"{firm.number}2", "name": "Other", "control_account": firm.master}
    answer = firm.operator.send("/companies", body, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (422, "control_account_taken")
    body["control_account"] = firm.branch
    answer = firm.operator.send("/companies", body, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_a_master_control_account")


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("contact", {"email": "thief@issuer.example"}),
        ("second-factor/remove", {}),
        ("deactivate", {}),
        ("entitlements", {"take": [{"function": "accounts.view", "control_account": "*"}]}),
    ],
)
def test_the_help_desk_has_no_hold_on_who_may_do_more(
    installation: Installation, verb: str, body: dict[str, Any]
) -> None:
    """Whoever could turn an operator's mail to themselves would be that operator."""
    helper, operator = installation.portal(HELP_DESK), installation.portal(OPERATOR)
    found = helper.get("/users", role="issuer_operator")["data"]
    (user,) = [row["user"] for row in found if row["user_id"] == operator.user_id]
    answer = helper.send(f"/users/{user}/{verb}", body, wait=10)
    assert (answer.status_code, answer.json()["code"]) == (422, "more_rights_than_yours")
    assert operator.http.get("/me").status_code == 200


def test_a_strangers_users_are_not_found(firm: Firm) -> None:
    """Another company's principal learns nothing of them."""
    newcomer = firm.enrol("programme_manager")
    stranger = firm.installation.portal("principal_programme_administrator")
    for path in (f"/users/{newcomer.user}", f"/users/{newcomer.user}/history", f"/companies/{firm.number}"):
        assert stranger.http.get(path).status_code == 404, path
    assert stranger.send(f"/users/{newcomer.user}/deactivate").status_code == 404
    assert newcomer.user not in {row["user"] for row in stranger.get("/users", limit=500)["data"]}
    assert stranger.http.get("/users", params={"company": firm.number}).status_code == 404
