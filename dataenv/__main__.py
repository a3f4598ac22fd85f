"""``python -m dataenv`` is the command ``dataenv``."""

from __future__ import annotations

from dataenv.cli import main

if __name__ == "__main__":
    main()
