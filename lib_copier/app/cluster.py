"""`run.py cluster start|join|stop`: makes this machine a Ray cluster or a node of one, for `--on ray`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from lib_copier import edge
from lib_copier.border.child import start_options
from lib_copier.cluster.connection import PORT, is_open, require_address
from lib_copier.engines.locate import child_environment, python
from lib_copier.errors import ChildError, InputError

_HEAD_PORT = 6379
_LOOPBACK = "127.0.0.1"
_START_SECONDS = 60.0


def main(argv: Sequence[str]) -> int:
    """Do one of the three; what follows ``--`` goes to `ray start` as it is."""
    words = list(argv)
    own, more = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    arguments = _parser().parse_args(own)
    if arguments.verb == "setup":
        return 0
    if arguments.verb == "stop":
        return _ray("stop")
    if arguments.verb == "join":
        host, _, port = require_address(f"ray://{arguments.address}").removeprefix("ray://").rpartition(":")
        if ":" not in arguments.address:
            port = str(_HEAD_PORT)
        return _ray("start", f"--address={host}:{port}", *more)
    host = arguments.host
    _ray(
        "start",
        "--head",
        f"--node-ip-address={host}",
        f"--port={arguments.port}",
        f"--ray-client-server-port={arguments.client_port}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--include-dashboard=false",
        "--disable-usage-stats",
        *more,
        is_alone=host == _LOOPBACK,
    )
    if not is_open(host, arguments.client_port, _START_SECONDS):
        raise ChildError(
            f"Ray started, but nothing listens on port {arguments.client_port}.",
            "Look at its logs in /tmp/ray/session_latest/logs.",
        )
    print(f"The cluster runs: add `--on ray://{host}:{arguments.client_port}` to run.")
    if host != _LOOPBACK:
        print("Whoever reaches its ports runs code on its nodes: keep them in a network that you trust.")
        print(f"Further nodes: `python run.py cluster join {host}:{arguments.port}` there.")
    return 0


def _parser() -> edge.Parser:
    parser = edge.Parser(prog="run.py cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="start|join|stop|setup")
    start = verbs.add_parser("start", help="make this machine the head of a cluster, and its first node")
    start.add_argument(
        "--host",
        default=_LOOPBACK,
        metavar="ADDRESS",
        help="this machine's address for other nodes; without it nobody else reaches the cluster",
    )
    start.add_argument("--port", type=int, default=_HEAD_PORT, help="where other nodes join")
    start.add_argument("--client-port", type=int, default=PORT, help="what `--on ray://HOST:PORT` names")
    join = verbs.add_parser("join", help="make this machine a node of a cluster")
    join.add_argument("address", metavar="HOST[:PORT]", help=f"of its head; port {_HEAD_PORT} without one")
    verbs.add_parser("stop", help="stop every process of Ray on this machine")
    verbs.add_parser("setup", help="install Ray into the environment and do nothing else")
    return parser


def _ray(*words: str, is_alone: bool = False) -> int:
    """Ray's own command, in the environment that the processes of the node take over from it.

    Raises
    ------
    ChildError
        It failed.
    """
    environment = {**os.environ, **dict(child_environment()), "RAY_USAGE_STATS_ENABLED": "0"}
    if is_alone:
        # The switch makes the loopback address the machine's own, on every system.
        environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    argv = [str(python()), "-m", "ray.scripts.scripts", *words]
    try:
        ended = subprocess.run(
            argv, env=environment, capture_output=True, encoding="utf-8", check=False, **start_options()
        )
    except OSError as error:
        raise InputError(
            f"{argv[0]} cannot be started: {error.strerror}.", "Run `python run.py setup`."
        ) from error
    if ended.returncode:
        said = [line.strip() for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
        raise ChildError(
            f"ray {words[0]} failed: {said[-1][:300] if said else 'no reason given'}.",
            "Stop a cluster that runs here already with `python run.py cluster stop`, or choose other ports.",
            argv=argv,
            returncode=ended.returncode,
            last_lines=said[-10:],
        )
    return 0


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
