"""``gatehouse alerts``: what is open, what an alert means, and whether the channels work."""
