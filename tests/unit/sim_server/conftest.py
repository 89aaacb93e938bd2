"""Puts the third-party simulator of tests/support on the path, as an installed distribution would be."""

from __future__ import annotations

import sys
from pathlib import Path

SUPPORT = Path(__file__).parents[2] / "support"
sys.path.append(str(SUPPORT))  # behind the repository: its curriculum.py is not the package
