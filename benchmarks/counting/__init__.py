"""Counted against true crossings, one by one."""
