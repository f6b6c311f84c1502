"""CLIP's tokenizer as the files that sd-scripts looks for, so that training needs no network."""

from __future__ import annotations

import gzip
import json
from functools import lru_cache
from pathlib import Path

from lib_copier.engines.locate import root
from lib_copier.families import SD2, SDXL, Family

_CLIP_L = ("openai_clip-vit-large-patch14", "<|endoftext|>")
_SD2 = ("stabilityai_stable-diffusion-2", "!")
_CLIP_G = ("laion_CLIP-ViT-bigG-14-laion2B-39B-b160k", "!")


def tokenizer_files(family: Family, folder: Path) -> tuple[tuple[Path, str], ...]:
    """What the family's tokenizers need in `folder`, the ``--tokenizer_cache_dir``: files and their texts."""
    wanted = {SD2.name: (_SD2,), SDXL.name: (_CLIP_L, _CLIP_G)}.get(family.name, (_CLIP_L,))
    vocabulary, merges = _texts()
    files: list[tuple[Path, str]] = []
    for name, padding in wanted:
        special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
        special["pad_token"] = padding
        config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
        files += [
            (folder / name / "vocab.json", vocabulary),
            (folder / name / "merges.txt", merges),
            (folder / name / "tokenizer_config.json", json.dumps(config, indent=1)),
            (folder / name / "special_tokens_map.json", json.dumps(special, indent=1)),
        ]
    return tuple(files)


@lru_cache(maxsize=1)
def _texts() -> tuple[str, str]:
    """`vocab.json` and `merges.txt`, from the merges that this package ships."""
    packed = (root() / "lib_copier" / "models" / "data" / "clip_merges.txt.gz").read_bytes()
    merges = [line for line in gzip.decompress(packed).decode("utf-8").split("\n") if line.count(" ") == 1]
    symbols = _byte_symbols()
    words = [*symbols, *(symbol + "</w>" for symbol in symbols), *(line.replace(" ", "") for line in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = json.dumps({word: index for index, word in enumerate(words)}, ensure_ascii=False)
    return vocabulary, "#version: 0.2\n" + "\n".join(merges) + "\n"


def _byte_symbols() -> list[str]:
    """A visible character for each byte, in CLIP's order: printable ones first, then U+0100 and on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(code) for code in (*printable, *range(256, 512 - len(printable)))]
