"""Freehold: a self-hosted gateway for large language model APIs."""

from typing import Final

__version__: Final = "0.1.0"
