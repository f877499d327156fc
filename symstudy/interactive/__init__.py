"""From Python and in notebooks: train a study and ask its results, with one object.

`results` loads neither torch nor ray; `train` does.
"""
