"""What was asked for: frozen data, one option table, all checks, presets and migrations."""
