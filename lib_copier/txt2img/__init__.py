"""A request of a picture as WebUIs have it: settings, prompt syntax, infotext."""
