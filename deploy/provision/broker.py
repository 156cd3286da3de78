"""Users and permissions on a RabbitMQ that runs already: it loads its definitions by itself only when it starts."""

from shared.messaging.management import management_client


def load_definitions(management_url: str, definitions: bytes) -> None:
    """Create or change users, permissions, limits and queues; what the definitions do not name stays as it is.

    Raises `httpx.HTTPError`, without the password in it, where the broker refuses or is away.
    """
    headers = {"Content-Type": "application/json"}
    with management_client(management_url) as client:
        client.post("/api/definitions", content=definitions, headers=headers).raise_for_status()
