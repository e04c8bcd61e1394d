"""The witness: a small program on another machine that cosigns a log only if it grows and never changes (C2SP tlog-witness)."""
