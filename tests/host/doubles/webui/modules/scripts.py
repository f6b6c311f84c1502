"""A runner of other extensions' scripts, with none in it."""


class ScriptRunner:
    def __init__(self):
        self.alwayson_scripts = []
