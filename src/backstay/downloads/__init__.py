"""Parts of archives as answers to requests, with ranges: for clients of the API and for browsers."""
