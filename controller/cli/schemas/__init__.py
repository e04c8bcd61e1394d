"""The JSON that verbs print with ``-o json``: a model of each document, and its JSON Schema. ``gatehouse schema`` prints them."""
