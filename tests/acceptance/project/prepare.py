# prepare.py
from pathlib import Path

import numpy as np

text = Path("input.txt").read_text()
chars = sorted(set(text))
ids = np.array([chars.index(c) for c in text])
windows = np.lib.stride_tricks.sliding_window_view(ids, 17)[::4]
np.savez("chars.npz", x=windows[:, :-1], y=windows[:, 1:])
print("vocab_size =", len(chars))
