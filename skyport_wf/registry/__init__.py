"""A Shock as a registry: the images on its nodes, as the OCI distribution spec 1.1 has registries answer.

Nothing is stored twice: a layer is a range of the file of a node.
"""
