"""The explorer: a page in the browser that shows the results of studies while they grow.

`symstudy explore` starts a server on this machine alone; it reads results and writes nothing.
Starlette and uvicorn are imported by `app` and `server` only, so that what they need can be absent.
"""
