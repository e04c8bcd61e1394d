"""``gatehouse rehearse``: a whole deployment in virtual time."""
