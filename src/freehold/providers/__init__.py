"""Providers as data: who answers at which address, by which protocols, with which models and facts.

A provider is one file in `data/`. Nothing else names it: the catalogue lists the folder.
"""
