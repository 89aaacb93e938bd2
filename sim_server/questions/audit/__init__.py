"""Every family checked against a second opinion: independent oracles, a table and a page for people."""
