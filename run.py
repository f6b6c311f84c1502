"""A fresh machine's front door: makes the environment, then runs the command in it.

Standard library only, and written so that an old Python reads it far enough to say what it lacks.
"""

import sys

OLDEST = (3, 10)

if sys.version_info < OLDEST:
    sys.exit(
        "error: Copier LoRA needs Python 3.10, 3.11, 3.12 or 3.13; this is Python %d.%d (%s). "
        "Run the same command with a newer one, for instance: python3.11 run.py"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )

if __name__ == "__main__":
    from lib_copier.environment.start import start

    sys.exit(start(sys.argv[1:]))
