"""By which request a contract is met at the gateway."""

from shared.contracts.base import Contract, Kind

PREFIX = "/api/v1"


def method_and_path(contract: Contract) -> tuple[str, str]:
    """Return the HTTP method and the path, below the API's prefix, of a command or a read."""
    by_post = contract.kind is Kind.COMMAND or contract.sends_body
    return ("POST" if by_post else "GET"), contract.route or ""
