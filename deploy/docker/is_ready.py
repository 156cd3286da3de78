#!/usr/bin/env -S python3 -IS
"""Exits with 0 where /readyz of this container's process says yes: the health check of web processes and workers.

It is asked every few seconds in every container, so it imports next to nothing.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException

port = os.environ["CARDWORK_HEALTH_PORT" if sys.argv[1] == "worker" else "CARDWORK_PORT"]
connection = HTTPConnection("127.0.0.1", int(port), timeout=4)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    text = answer.read().decode()
except (OSError, HTTPException) as error:
    sys.exit(f"no answer: {error}")
sys.exit(0 if answer.status == 200 else text)
