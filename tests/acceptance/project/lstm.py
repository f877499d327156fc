# lstm.py
import numpy as np
from torch import nn


class Classifier(nn.Module):
    def __init__(self, vocab, hidden_size=8, output_dim=2):
        super().__init__()
        self.embed = nn.Embedding(vocab, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size, batch_first=True)
        self.readout = nn.Linear(hidden_size, output_dim)

    def forward(self, tokens):
        _, (state, _) = self.lstm(self.embed(tokens))
        return self.readout(state[-1])


def majority(samples=80, length=9, seed=0):
    """Sequences of 0 and 1; the class is the token of which there are more."""
    x = np.random.default_rng(seed).integers(0, 2, (samples, length))
    y = (x.sum(axis=1) > length // 2).astype(int)
    half = samples // 2
    return x[:half], y[:half], x[half:], y[half:]
