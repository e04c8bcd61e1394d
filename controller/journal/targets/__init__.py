"""The kinds of checkpoint targets, one per file. ``bootstrap`` creates them from the settings."""
