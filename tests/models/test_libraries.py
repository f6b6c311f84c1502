"""Libraries come without what they would take along; a version that cannot do without gets it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lib_copier.models.libraries import import_without

LIBRARY = """
try:
    import {extra}
    has_extra = True
except ImportError:
    has_extra = False
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Writes a package of that source beside a package `costly_extra`; both are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "costly_extra.py").write_text("", encoding="utf-8")

    def write(**files: str) -> None:
        folder = tmp_path / "some_library"
        folder.mkdir()
        for name, source in files.items():
            (folder / f"{name}.py").write_text(source.format(extra="costly_extra"), encoding="utf-8")

    yield write
    for name in ("some_library", "some_library.part", "costly_extra"):
        sys.modules.pop(name, None)


def test_a_library_finds_them_missing_and_everybody_else_finds_them(library):
    library(__init__=LIBRARY)
    import_without(("costly_extra",), ("some_library",))
    assert not sys.modules["some_library"].has_extra
    assert "costly_extra" not in sys.modules
    __import__("costly_extra")


def test_what_was_loaded_before_stays_loaded(library):
    library(__init__=LIBRARY)
    before = __import__("costly_extra")
    import_without(("costly_extra",), ("some_library",))
    assert sys.modules["costly_extra"] is before


def test_a_library_that_cannot_do_without_is_imported_anew(library):
    library(__init__=LIBRARY, part="import {extra}\nfrom some_library import has_extra\n")
    import_without(("costly_extra",), ("some_library", "some_library.part"))
    assert sys.modules["some_library"].has_extra and sys.modules["some_library.part"].has_extra


def test_a_missing_library_is_missing(library):
    with pytest.raises(ImportError, match="no_such_library"):
        import_without(("costly_extra",), ("no_such_library",))


@pytest.mark.parametrize(
    ("parts", "loaded"),
    [("('vae', 'unet')", []), ("('vae', 'unet', 'text')", ["torch._dynamo", "transformers"])],
)
def test_only_what_reads_prompts_loads_transformers_and_a_compiler(checkpoint_path, parts, loaded):
    """Seconds of every start."""
    code = (
        "import sys\n"
        "from lib_copier.models.checkpoint import load_checkpoint\n"
        f"load_checkpoint(sys.argv[1], parts={parts})\n"
        "heavy = {'accelerate', 'scipy', 'torch._dynamo', 'torch.distributed.fsdp', 'transformers'}\n"
        "print(sorted(heavy & sys.modules.keys()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(checkpoint_path())], capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.returncode) == (str(loaded), 0), done.stderr
