"""``gatehouse init``: the files of a new deployment."""
