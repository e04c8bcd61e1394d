"""``gatehouse bot-config``: what a bot's own configuration has to say to trade through the gateway."""
