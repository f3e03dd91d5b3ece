"""The Akeeba Backup JSON API as plain data: methods, models, envelopes, status codes."""
