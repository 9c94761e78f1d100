"""Ordinary documents with known text, typeset by the programs that people use, to measure a checkpoint on."""
