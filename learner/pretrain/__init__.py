"""Supervised pre-training of `vantage-tiny` on annotated views."""
