"""Where images come from: one module per source, each with what it is made from and, if need be, how it is made."""
