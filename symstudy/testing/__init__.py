"""Help for tests: shipped, for the extensions of users too.

* `stores`: studies with planted results, on which a claim must find what was planted.
* `strategies`: hypothesis strategies for studies and packs.
* `searches`: the same for studies that search.
* `claims`: what every claim must pass.
* `launchers`: what every launcher must pass.
* `engines`: what every engine must pass; `checkpointers`: one that pauses a training.
* `symmetries`: what every symmetry must pass, and what a model declares.
* `measures`, `datasets`, `models`, `losses`, `optimizers`: what every component of the kind must
  pass; classes to subclass with a fixture.
"""
