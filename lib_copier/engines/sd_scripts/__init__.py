"""The sd-scripts engine: kohya's scripts, called by command line, never imported."""

from lib_copier.engines.sd_scripts.engine import SdScriptsEngine

__all__ = ["SdScriptsEngine"]
