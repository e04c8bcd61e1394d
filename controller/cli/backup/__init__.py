"""The verbs ``gatehouse backup``."""
