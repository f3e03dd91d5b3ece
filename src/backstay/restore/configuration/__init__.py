"""A site's own configuration, edited as text for its new place."""

from backstay.restore.configuration.rewrite import Move, Rewritten, rewrite_configuration

__all__ = ["Move", "Rewritten", "rewrite_configuration"]
