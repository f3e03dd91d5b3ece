"""Giving a site back: files, databases, its configuration."""
