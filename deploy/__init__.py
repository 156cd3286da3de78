"""Where the parts become a system: the composition root, the ``cardwork`` command and deployment files.

The only package that may import services and broker libraries alike.
"""
