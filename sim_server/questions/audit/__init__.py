"""The audit: every skill is checked against independent oracles, with a table and a page of examples."""
