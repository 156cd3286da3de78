"""Without any server."""
