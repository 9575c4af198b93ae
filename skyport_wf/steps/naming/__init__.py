"""How an upload becomes the image of its name, of which there is one at any time: for `register` and `copy`."""
