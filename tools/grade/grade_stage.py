# SPDX-License-Identifier: MIT
"""Copy the lab's files of a submission, each a regular file of at most 1 MiB, to a folder that has
no other files; for grade.py.

A grader, above all as root, may read files that a student may not, and a compiler's output quotes
the files that it reads.  So no link is followed in any part of a path, and no read waits.
"""
import errno
import os
import stat

import labs
import skeleton

MOST_BYTES = 1 << 20  # bytes of a file that is handed in
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class NotTaken(Exception):
    """The path is no regular file, or the file is too large; the text is the reason."""


def read_taken(tree, path):
    """The bytes of the file @path of @tree, or None if it does not exist."""
    at = -1
    try:
        at = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
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
        # These errors mean that the file or one of its folders is a link, or of a wrong kind.
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
            raise labs.BadLab(f"{os.path.join(tree, path)}: {error.strerror}") from None
        raise NotTaken(f"{path} is a link, or no regular file") from None
    finally:
        if at >= 0:
            os.close(at)
    if len(text) > MOST_BYTES:
        raise NotTaken(f"{path} has more than {MOST_BYTES >> 20} MiB")
    return text


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def stage(one, tree, to):
    """Copy the lab's files from @tree to the folder @to.  Returns the missing ones; they are copied
    as students get them."""
    texts = {path: read_taken(tree, path) for path in one.files}
    if all(text is None for text in texts.values()):
        raise labs.BadLab(f"{tree} has no {one.files[0]}")
    missing = []
    for path, text in texts.items():
        target = os.path.join(to, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if text is None:
            missing.append(path)
            text = dict(skeleton.texts(one))[path].encode()
        # A file that has this text keeps its time, so that its object stays up to date.
        if not os.path.exists(target) or read_bytes(target) != text:
            with open(target, "wb") as f:
                f.write(text)
    return missing
