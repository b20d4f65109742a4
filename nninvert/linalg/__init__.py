"""Matrices as they are stored, linear maps, their factorisations and conditions."""
