"""Passes that every file of a bundle gains from."""
