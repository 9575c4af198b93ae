"""A WSGI application served over HTTP: cheroot, made fit for large files and bad clients."""
