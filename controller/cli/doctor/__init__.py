"""``gatehouse doctor``: checks a deployment before it runs."""
