"""Budgets: what a bundle may cost, checked in continuous integration."""
