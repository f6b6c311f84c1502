"""`run.py engine install|status|remove`: kohya's sd-scripts beside the project, at one pinned commit."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from lib_copier import edge
from lib_copier.engines import environment, vendor
from lib_copier.engines.state import BROKEN, READY, EngineState, engine_state, own_places
from lib_copier.environment.report import Report
from lib_copier.environment.start import WHEELS


def main(argv: Sequence[str]) -> int:
    """Run one of the three; `status` exits 0 where the engine is ready and 1 where it is not."""
    arguments = _parser().parse_args(argv)
    places, report = own_places(), Report()
    if arguments.verb == "remove":
        environment.remove(places, report)
        _show(engine_state(places), as_json=arguments.json)
        return 0
    if arguments.verb == "status":
        state = engine_state(places)
        _show(state, as_json=arguments.json)
        return 0 if state.state == READY else 1
    state = environment.install(
        places, report, folder=arguments.folder, is_light=arguments.light, wheels=arguments.wheels
    )
    _show(state, as_json=arguments.json)
    return 3 if state.state == BROKEN else 0


def _parser() -> edge.Parser:
    parser = edge.Parser(prog="run.py engine", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="install|status|remove")
    install = verbs.add_parser("install", help=f"fetch sd-scripts {vendor.TAG} and the packages it pins")
    install.add_argument("--folder", type=Path, help="a checkout that is there already, used as it is")
    install.add_argument("--light", action="store_true", help="the scripts only, without their packages")
    # The front door takes --wheels out of every command line and hands it on in the environment.
    given = os.environ.get(WHEELS)
    install.add_argument(
        "--wheels",
        type=Path,
        default=Path(given) if given else None,
        help="look for packages in this folder first",
    )
    status = verbs.add_parser("status", help="say where it stands: missing, making, ready or broken")
    remove = verbs.add_parser("remove", help="delete what install made; a checkout of your own stays")
    for verb in (install, status, remove):
        verb.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    return parser


def _show(state: EngineState, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(state.as_json(), ensure_ascii=False))
        return
    print(f"{state.state}: {state.why}")
    print(f"  scripts: {state.folder} {state.commit}".rstrip())
    print(f"  Python:  {state.python}")
    for note in state.notes:
        print(f"  note: {note}")


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:]))
