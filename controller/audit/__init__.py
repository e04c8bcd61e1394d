"""Checks of a whole journal, offline: every command decided again, every state rebuilt."""
