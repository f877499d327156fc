"""The claims that symstudy tests: one a file of `claims`, with what several use in `shared`.

`symstudy.findings.claim` states what such a file holds. The program loads this folder by its path,
as an input; the wheel has a copy, for those who have no checkout.
"""
