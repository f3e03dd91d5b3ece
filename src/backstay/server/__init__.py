"""Answering the API over HTTP: three wire forms over one dispatch of one method table."""
