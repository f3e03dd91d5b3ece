"""Taking a backup: domains, progress, checkpoints, retention."""
