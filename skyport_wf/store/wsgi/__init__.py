"""Shock's HTTP interface as a WSGI application, which a server or a client in the same process calls."""
