# SPDX-License-Identifier: MIT
"""What is taken of a submission: the lab's files, each a regular file of at most 1 MiB, to a folder
of their own, where nothing else of the tree can be found; for tools/grade.py.

A grader may read what a student may not, the more so as root; and what a compiler says quotes what
it reads.  So no link is followed, on no part of the way, and nothing is waited for.
"""
import errno
import os
import stat
import sys

sys.dont_write_bytecode = True
import labs

MOST_BYTES = 1 << 20  # of a file that is handed in
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class NotTaken(Exception):
    """What stands there is no file; the text is the reason."""


def read_taken(tree, path):
    """The bytes of a file of @tree, or None: it is not there."""
    at = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *folders, name = path.split("/")
        for folder in folders:
            below = os.open(folder, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        with open(os.open(name, FILE, dir_fd=at), "rb") as f:
            if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                raise NotTaken(f"{path} is no regular file")
            text = f.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        # What is not a folder, or a link: a folder that is one is no folder either.
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
            raise
        raise NotTaken(f"{path} is a link, or no regular file") from None
    finally:
        os.close(at)
    if len(text) > MOST_BYTES:
        raise NotTaken(f"{path} has more than {MOST_BYTES >> 20} MiB")
    return text


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def stage(one, tree, to):
    """The lab's files of @tree in the folder @to; what is not there is this tree's."""
    texts = {path: read_taken(tree, path) for path in one.files}
    if all(text is None for text in texts.values()):
        raise labs.BadLab(f"{tree} has no {one.files[0]}")
    for path, text in texts.items():
        target = os.path.join(to, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if text is None:
            text = read_bytes(os.path.join(labs.ROOT, path))
        # An object of the same text need not be made again.
        if not os.path.exists(target) or read_bytes(target) != text:
            with open(target, "wb") as f:
                f.write(text)
