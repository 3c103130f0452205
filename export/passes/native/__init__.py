"""Passes for the native engine's file."""
