"""``gatehouse doctor``: what is wrong with this deployment, found before it matters."""
