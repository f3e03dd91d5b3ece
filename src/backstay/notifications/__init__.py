"""Telling people and programs what happened: mail and chat by Apprise, signed webhooks, pings of health checks.

Nothing here knows the catalogue: an event and an address go in, and it is sent or an error says why not.
"""
