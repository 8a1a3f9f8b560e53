"""The guest: all that runs inside an image, with that image's own Python.

It needs Python 3.10 or later, the standard library, torch and pyannote.audio, and nothing of the host.
"""
