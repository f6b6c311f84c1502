"""The embedded generator: pictures from a checkpoint with LoRAs, by command or by a worker that stays."""
