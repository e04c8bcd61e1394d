"""The operators' API and web pages."""
