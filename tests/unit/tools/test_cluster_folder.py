"""The state folder of a cluster that has ended is removed by its guardian, by who started it, and by the next start: all at once too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.kubernetes.layout import Layout
from tools.kubernetes.stop import remove


def test_several_remove_one_folder_at_the_same_time(tmp_path: Path) -> None:
    for number in range(5):
        state = tmp_path / str(number)
        for outer in range(20):
            for inner in range(20):
                folder = state / str(outer) / str(inner)
                folder.mkdir(parents=True)
                (folder / "file").touch()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _, state=state: remove(Layout(state), keep_logs=False), range(4)))
        assert not state.exists()
