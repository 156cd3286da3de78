"""The HTTP edge that every service has: problems, authentication, paging, health, metrics and request logs."""
