"""The demo's scripts lie in a folder of their own and import each other by bare names."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
