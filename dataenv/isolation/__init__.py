"""Teachers at arm's length: what crosses a pipe, what may be asked over it, and the process at its other end."""
