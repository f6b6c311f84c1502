"""CLIP's tokenizer as the files that sd-scripts looks for, so that training needs no network."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from lib_copier.model_file.families import SD2, SDXL, Family
from lib_copier.txt2img import vocabulary

_CLIP_L = ("openai_clip-vit-large-patch14", vocabulary.END_TEXT)
_SD2 = ("stabilityai_stable-diffusion-2", "!")
_CLIP_G = ("laion_CLIP-ViT-bigG-14-laion2B-39B-b160k", "!")


def tokenizer_files(family: Family, folder: Path) -> tuple[tuple[Path, str], ...]:
    """What the family's tokenizers need in `folder`, the ``--tokenizer_cache_dir``: files and their texts."""
    wanted = {SD2.name: (_SD2,), SDXL.name: (_CLIP_L, _CLIP_G)}.get(family.name, (_CLIP_L,))
    vocab, merges = _texts()
    files: list[tuple[Path, str]] = []
    for name, padding in wanted:
        special = {"bos_token": vocabulary.START_TEXT, "eos_token": vocabulary.END_TEXT}
        special["unk_token"] = vocabulary.END_TEXT
        special["pad_token"] = padding
        config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, **special}
        files += [
            (folder / name / "vocab.json", vocab),
            (folder / name / "merges.txt", merges),
            (folder / name / "tokenizer_config.json", json.dumps(config, indent=1)),
            (folder / name / "special_tokens_map.json", json.dumps(special, indent=1)),
        ]
    return tuple(files)


@lru_cache(maxsize=1)
def _texts() -> tuple[str, str]:
    """`vocab.json` and `merges.txt`."""
    ids = {word: index for index, word in enumerate(vocabulary.words())}
    lines = (f"{left} {right}" for left, right in vocabulary.merges())
    return json.dumps(ids, ensure_ascii=False), "\n".join(["#version: 0.2", *lines, ""])
