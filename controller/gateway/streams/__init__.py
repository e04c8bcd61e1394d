"""The gateway's streams: listen keys, connections, and what is pushed on them (mexc-spot-v3.md §7)."""
