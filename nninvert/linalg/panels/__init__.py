"""LU of large dense matrices in column panels: in memory or in a file, resumable."""
