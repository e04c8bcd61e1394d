"""``gatehouse update``: what this version of gatehouse does to a deployment of another one, before it runs there (ADR 72)."""
