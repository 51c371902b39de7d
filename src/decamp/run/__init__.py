"""Applies plans durably: executor, limits, ledger, failover. Knows performers by verb and nothing of clouds."""
