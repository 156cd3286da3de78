"""How a refusal is answered, and who may ask at all."""

from math import ceil

from flask import g

from services.identity.refusals import NotAdmitted, TooManyAttempts
from shared.errors import Rejected
from shared.web.problems import Fault, Problem


def admit_the_signed_in() -> None:
    """Raise a 403 problem where nobody signed in asks."""
    if g.actor.session_id is None:
        raise Problem(status=403, code="signed_in_only", title="Only somebody signed in may ask this.")


def refusal_problem(refusal: Rejected) -> Problem:
    """Return a refusal as a problem: 401 for who is not admitted, 429 for too soon, 422 naming the field for the rest."""
    if isinstance(refusal, NotAdmitted):
        return Problem(status=401, code=refusal.code, title=refusal.title, detail=refusal.message)
    if isinstance(refusal, TooManyAttempts):
        return _too_many_attempts(refusal)
    faults = [Fault(f"/{refusal.field}", refusal.code, refusal.message)] if refusal.field else []
    return Problem(
        status=422, code=refusal.code, title="This was refused.", detail=refusal.message, errors=faults
    )


def _too_many_attempts(refusal: TooManyAttempts) -> Problem:
    seconds = ceil(refusal.wait.total_seconds())
    return Problem(
        status=429,
        code=refusal.code,
        title="You cannot sign in just now.",
        detail=f"{refusal.message} Try again in {seconds} second{'s' if seconds > 1 else ''}.",
        headers={"Retry-After": str(seconds)},
        retry_after=seconds,
    )
