"""All state of one home, in a database: profiles, records, tokens, jobs, destinations, copies, recipients."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
