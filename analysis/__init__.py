"""The claims that symstudy tests, one a file.

Each file measures with SQL, judges by a rule that was written before the data, and draws what it
measured; `symstudy.findings.claim` states the contract. The program loads this folder by its path,
as an input: it is no part of the installed package.
"""
