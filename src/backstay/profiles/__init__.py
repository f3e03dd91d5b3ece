"""Every setting once, filters, import and export of profiles."""
