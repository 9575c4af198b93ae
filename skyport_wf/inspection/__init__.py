"""Looking, without changing what is published: show, packages, status, verify, reproduce, doctor."""
