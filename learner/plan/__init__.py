"""How much GPU memory a run needs, computed before any weights are loaded."""
