"""The deployment's settings from ``gatehouse.toml`` and the environment. Only ``bootstrap`` and ``cli`` read them."""
