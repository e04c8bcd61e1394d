"""Offline checks of a whole journal: judge every command again, rebuild every state.

`gatehouse journal verify` and `replay` use it.
"""
