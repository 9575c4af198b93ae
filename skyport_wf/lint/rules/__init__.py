"""Our rules, one module for each family: its codes, and the checks that report them."""
