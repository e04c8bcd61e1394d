"""The verbs that propose, sign and submit commands, and handle keys."""
