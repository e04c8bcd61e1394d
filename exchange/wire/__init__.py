"""MEXC's protocol without I/O, in both directions: signing, REST, errors, streams."""
