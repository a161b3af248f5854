"""How fast and how safely the judge decides: a seeded simulation in virtual time.

The product's own judge and ramp (`analysis`), never a copy, against re-stated peers and the bound
that no test can beat. `python -m benchmarks.detection` runs a small part and its gates.
"""
