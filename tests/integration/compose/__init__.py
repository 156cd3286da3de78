"""docker-compose.yml: what it says, and a whole system started from it."""
