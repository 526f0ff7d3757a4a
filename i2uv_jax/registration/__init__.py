"""Fitting the rigged hand to scanned or sculpted hand meshes.

`scan.py` reads a mesh file, `start.py` finds where in it a hand could be, `articulated.py` fits
pose and shape, `displacement.py` the rest of the surface; `fitting.py` puts them in order, and
`fitted_hand.py` says what comes out and how it is kept in a file.
"""
