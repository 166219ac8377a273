"""The core of layers: parameters, buffers, random streams, the ``Layer`` class."""
