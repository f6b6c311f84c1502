"""Reads an infotext: prompt on the first line, settings on the last."""


def parse_generation_parameters(text):
    lines = text.splitlines()
    found = {"Prompt": lines[0], "Negative prompt": ""}
    for pair in lines[-1].split(", "):
        key, _, value = pair.partition(": ")
        found[key] = value
    return found
