"""Users and permissions on a RabbitMQ that runs already: it loads its definitions by itself only when it starts."""

from urllib.parse import urlsplit

import httpx


def load_definitions(management_url: str, definitions: bytes) -> None:
    """Create or change users, permissions, limits and queues; what the definitions do not name stays as it is.

    Raises `httpx.HTTPError`, without the password in it, where the broker refuses or is away.
    """
    url = urlsplit(management_url)
    login = httpx.BasicAuth(url.username or "", url.password or "")
    root = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
    headers = {"Content-Type": "application/json"}
    # It is a server of ours: no proxy stands before it.
    with httpx.Client(base_url=root, auth=login, headers=headers, timeout=60, trust_env=False) as client:
        client.post("/api/definitions", content=definitions).raise_for_status()
