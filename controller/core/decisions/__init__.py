"""The decisions themselves, one file per kind of input; all pure. ``controller.core.decide`` is the only entrance."""
