"""The deployment controller: decides once, in one place, and remembers before it acts (architecture.md §4, §5)."""
