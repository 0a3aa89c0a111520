"""Benchmarks use the same server and browser as the end-to-end tests."""

from tests.end_to_end.conftest import browser, server

__all__ = ["browser", "server"]
