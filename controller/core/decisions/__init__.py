"""The decisions, one file per kind of input; all pure. ``controller.core.decide`` calls them."""
