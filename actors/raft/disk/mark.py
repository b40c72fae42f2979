"""The mark on a disk that its member is on probation: made before its log, removed at the end.

So a log without a mark belongs to a member that knew all its promises when the log began, or that
has proven since that none is lost. A crash at any step leaves the mark. Refuses to know what a
probation is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.raft.disk.files import Files

_NAME: Final = "probation"
_TEXT: Final = b"This member has yet to hear whether it has been here before.\n"


class Mark:
    """A file beside the segments of one log."""

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory = directory
        self._files = files

    def stands(self) -> bool:
        """Whether the mark was made and not removed."""
        return _NAME in self._files.names(self._directory)

    def make(self) -> None:
        """Make the mark, durably: whole under another name, then renamed."""
        files, path = self._files, self._directory / _NAME
        files.make_directory(self._directory)
        temporary = path.with_suffix(".part")
        file = files.create(temporary, len(_TEXT))
        try:
            files.write(file, _TEXT, 0)
            files.sync(file)
        finally:
            files.close(file)
        files.rename(temporary, path)

    def remove(self) -> None:
        """Remove the mark, durably."""
        self._files.remove(self._directory / _NAME)
