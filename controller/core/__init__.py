"""The pure core: what is decided, what is remembered, and the state that follows. No clock, no I/O."""
