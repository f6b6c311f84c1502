"""The host's record of files that its galleries have shown."""

shown = set()


def check_tmp_file(demo, name):
    return name in shown
