"""Calling any server of the API."""
