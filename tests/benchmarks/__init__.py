"""How fast Cardwork is, and how fast others are at the same work on the same servers: `make bench`."""
