"""Build, save, upload, register: the steps of publishing an image."""
