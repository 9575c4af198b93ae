"""`python -m skyport_wf`: the command line, for a workflow that runs in this Python but has another PATH."""

from skyport_wf.cli.start import main

if __name__ == "__main__":
    main()
