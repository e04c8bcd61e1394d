"""The decisions themselves, one file per kind of input; all pure. ``controller.decide`` is the only entrance."""
