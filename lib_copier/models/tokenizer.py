"""CLIP's byte-pair tokenizer, built in memory from the merges that this package ships."""

from __future__ import annotations

from functools import lru_cache

import ftfy
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from lib_copier.txt2img import vocabulary

START_ID = 49406
END_ID = 49407
CHUNK_TOKENS = 75
"""Tokens of text in one chunk; start and end make it 77."""

_WORDS = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""


class PromptTokenizer:
    """Turns text into CLIP's token ids.

    Parameters
    ----------
    pad_id:
        What fills a chunk after its end token: `END_ID` for CLIP-L, 0 for the OpenCLIP encoders.
    """

    def __init__(self, pad_id: int = END_ID) -> None:
        self.pad_id = pad_id

    def encode(self, text: str) -> list[int]:
        """Token ids of the text alone: no start, end or padding, any length.

        As CLIP was trained, and as transformers and OpenCLIP read prompts, text is mended first: curly
        quotes, full-width letters and the like become the plain ones.
        """
        return _byte_pairs().encode(ftfy.fix_text(text), add_special_tokens=False).ids

    def chunk(self, tokens: list[int]) -> list[int]:
        """At most `CHUNK_TOKENS` ids framed by start and end and filled up to 77 ids."""
        framed = [START_ID, *tokens[:CHUNK_TOKENS], END_ID]
        return framed + [self.pad_id] * (CHUNK_TOKENS + 2 - len(framed))


@lru_cache(maxsize=1)
def _byte_pairs() -> Tokenizer:
    tokenizer = Tokenizer(
        models.BPE(
            vocab={word: index for index, word in enumerate(vocabulary.words())},
            merges=list(vocabulary.merges()),
            continuing_subword_prefix="",
            end_of_word_suffix=vocabulary.END_OF_WORD,
            unk_token=vocabulary.END_TEXT,
        )
    )
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return tokenizer
