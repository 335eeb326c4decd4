"""Segue: a folder of MIDI in, finished music and a clean data set out.

The library holds what each stage does, as functions on plain data. It knows nothing of Snakemake.
"""

__version__ = "0.1.0"
