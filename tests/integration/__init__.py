"""Against the real servers: RabbitMQ and PostgreSQL."""
