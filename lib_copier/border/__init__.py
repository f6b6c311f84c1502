"""How our processes meet: children without windows, their job files, the lines that they write."""
