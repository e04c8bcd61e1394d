"""The operators' API and web page. Bootstrap serves it; ``runtime.api`` implements its port."""
