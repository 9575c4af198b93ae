"""What is in an image: its layers' files, the bytes they waste, the packages, and how that is shown."""
