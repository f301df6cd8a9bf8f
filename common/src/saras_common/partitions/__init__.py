"""A queue's consumers scaled by partition: a user's events keep their order, users are worked on at once.

One process at a time sorts the queue into its partitions by user; the processes share the partitions evenly, and one
that dies loses its own to the others. `PartitionedConsumer` with one partition is a plain `Consumer`.
"""

from saras_common.partitions.consumer import PartitionedConsumer
from saras_common.partitions.sorting import FindOwners, Sorter

__all__ = ["FindOwners", "PartitionedConsumer", "Sorter"]
