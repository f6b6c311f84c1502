"""How a child process is started so that it opens no window and, where wanted, leads a group of its own."""

from __future__ import annotations

import sys
from typing import Any

CREATE_NEW_PROCESS_GROUP = 0x00000200
CREATE_NO_WINDOW = 0x08000000
"""Windows' flags by value: `subprocess` names them there alone."""


def start_options(*, own_group: bool = False) -> dict[str, Any]:
    """Keyword arguments for `subprocess.Popen` and `run`.

    Windows opens a console for a console program whose parent has none, as a WebUI's worker. With
    `own_group`, Ctrl-C in the terminal reaches the parent alone, which then ends the whole tree.
    """
    if sys.platform == "win32":
        return {"creationflags": CREATE_NO_WINDOW | (CREATE_NEW_PROCESS_GROUP if own_group else 0)}
    return {"start_new_session": True} if own_group else {}
