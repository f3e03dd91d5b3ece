"""Profiles, backup records, tokens and jobs, kept in a database."""
