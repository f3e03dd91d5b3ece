"""JPA, JPS and ZIP archives: reading, writing, checking.

The package stands on its own: it knows bytes and files, and nothing of sites, backups or HTTP.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
