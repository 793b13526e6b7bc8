"""Every kind of input: one module a kind, all yielding records."""
