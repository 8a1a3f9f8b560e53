"""What runs an image: Docker and Podman (`container`), or a virtual environment on this host (`local`).

Only this package starts processes or talks to an engine; it decides nothing.
"""
