"""The image list, `images.yaml`: what to publish, from what, to which Shock."""
