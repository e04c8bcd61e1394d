"""Everything that talks to a venue. It imports nothing from policies, gates or controller, which call it."""
