"""Compiled kernels of the CPU: matrix tiles, packed training, random numbers, spanning trees.

The only folder that imports numba. Nothing here knows of models, studies or torch.
"""
