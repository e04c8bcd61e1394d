"""The report of a deployment: one pass over its journal, a JSON document, and a page that is drawn from the document alone."""
