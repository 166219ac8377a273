"""The ground that layers stand on: parameters, buffers, random streams, the ``Layer`` class."""
