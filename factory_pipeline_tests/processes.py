"""Processes of this machine, as the system lists them in /proc."""

from pathlib import Path


def descendants(pid: int) -> set[int]:
    """The processes that a process started, and those that these started, as the system lists them now."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(text.rpartition(")")[2].split()[1])
    found, left = set(), [pid]
    while left:
        children = [child for child, parent in parents.items() if parent == left[-1]]
        left.pop()
        found.update(children)
        left += children
    return found


def session_members(pid: int) -> set[int]:
    """The processes in the session that a process leads, also those whose parents have ended."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if int(text.rpartition(")")[2].split()[3]) == pid:
            found.add(int(status.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
