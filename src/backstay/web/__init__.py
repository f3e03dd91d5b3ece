"""Pages for a person in a browser, over the same jobs that the command line and the API use.

HTML is made on the server and works without scripts; scripts of our own add live progress. `create_pages` is the door.
"""

from backstay.web.application import create_pages

__all__ = ["create_pages"]
