# SPDX-License-Identifier: Apache-2.0
"""What several tests share; no tests are here."""

from pathlib import Path
from typing import Final

__all__ = ["ROOT"]

ROOT: Final = Path(__file__).resolve().parents[2]
