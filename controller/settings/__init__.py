"""What ``gatehouse.toml`` and the environment say. Only the composition root and the command line read it."""
