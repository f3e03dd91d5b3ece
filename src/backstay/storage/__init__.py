"""Where finished parts are kept."""
