"""`python -m lib_copier.caption PICTURE OUTPUT --model M --threshold T`: writes one line of tags."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lib_copier import edge
from lib_copier.border import events


def main(argv: Sequence[str]) -> int:
    """Tag one picture; the ``done`` event carries the caption."""
    parser = argparse.ArgumentParser(prog="caption", description="Caption a picture with a WD14 tagger.")
    parser.add_argument("picture", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--model", required=True, help="a folder, or a name on the Hugging Face hub")
    parser.add_argument("--threshold", type=float, default=0.35)
    arguments = parser.parse_args(argv)

    from lib_copier.caption import tagger
    from lib_copier.files.disk import write_bytes
    from lib_copier.image.files import read_picture

    picture = read_picture(arguments.picture).image
    model, tag_list = tagger.find_model(arguments.model)
    text = tagger.caption(
        picture, tagger.open_session(model), tagger.read_tags(tag_list), arguments.threshold
    )
    write_bytes(arguments.output, (text + "\n").encode())
    events.emit("done", caption=text)
    return 0


if __name__ == "__main__":
    edge.leave(edge.guard(main, sys.argv[1:], emits_events=True))
