"""Where the double keeps its files: a folder the test names in the environment."""

import os

data_path = os.environ["COPIER_TEST_WEBUI"]
models_path = os.path.join(data_path, "models")  # noqa: PTH118 - as the host does
