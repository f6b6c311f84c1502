"""The worker's own command takes a queue's folder and nothing else."""

from __future__ import annotations

import pytest

from lib_copier.errors import InputError
from lib_copier.graph.__main__ import main


@pytest.mark.parametrize("argv", [[], ["gone"], ["{folder}", "more"]])
def test_anything_but_a_folder_is_refused(argv, tmp_path) -> None:
    with pytest.raises(InputError, match="one argument: the queue's folder"):
        main([word.format(folder=tmp_path) for word in argv])


def test_it_works_off_the_queue_of_that_folder(tmp_path, monkeypatch) -> None:
    worked = []
    monkeypatch.setattr("lib_copier.graph.worker.work", worked.append)
    assert main([str(tmp_path)]) == 0 and worked == [tmp_path]
