"""Where Remit's own code lies: what runs elsewhere is an author's, or a library's."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PACKAGE"]

PACKAGE = f"{Path(__file__).parent}{os.sep}"
"""What the file names of all of Remit's code begin with."""
