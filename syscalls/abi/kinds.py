"""Names of layouts and flag lists in declarations (`In[IoVec]`, `Flags[RwFlags]`): for the reader, the type checker and
the trace; never imported at run time."""

from __future__ import annotations


class IoVec:
    """struct iovec[]"""


class RwFlags:
    """RWF_ bits"""


class CloseRangeFlags:
    """CLOSE_RANGE_ bits"""


class Int32Pair:
    """int[2]"""


class OpenFlags:
    """O_ bits"""


class S64Value:
    """a loff_t"""


class SpliceFlags:
    """SPLICE_F_ bits"""


class FallocateFlags:
    """FALLOC_FL_ bits"""


class SyncRangeFlags:
    """SYNC_FILE_RANGE_ bits"""
