"""The embedded Shock: nodes on disk and in SQLite, and the server's HTTP interface to them."""
