"""``gatehouse journal`` and ``verify``: read, check, replay and export a journal."""
