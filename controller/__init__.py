"""The deployment controller: decides once, in one place, and remembers before it acts (DESIGN §4, §5)."""
