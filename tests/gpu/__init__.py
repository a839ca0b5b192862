"""Tests for a real device: scripts/test -m gpu. Everywhere else they are skipped by name."""
