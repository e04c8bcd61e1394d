"""A whole deployment in one process and in virtual time: controller, gateway, signer, watchdog, venues, bot and operators (ADR 61).

``gatehouse rehearse`` calls ``run``. Nothing here decides anything about an order, a gate or a command: it puts the parts of
production together with other surroundings, which are a clock, an event loop, a network and chance from a seed.
"""
