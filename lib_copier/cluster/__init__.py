"""Brings the commands of steps to the nodes of a Ray cluster, which need not share a disk with us."""
