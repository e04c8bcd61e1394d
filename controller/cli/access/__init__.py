"""``gatehouse access``: who may use the console from another machine."""
