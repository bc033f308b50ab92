# SPDX-License-Identifier: Apache-2.0
"""The flatbuffer as values: graph, layers, ops, workload, weights. It starts nothing and reads no user's file."""
