"""hadolint, a linter of Dockerfiles by others: its program and its settings file."""
