"""Repositories: many backups that share what is the same in them, each of them still an ordinary archive to others.

The package knows destinations and the data of archives' entries, and nothing of profiles, records or HTTP.
"""
