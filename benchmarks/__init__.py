# SPDX-License-Identifier: Apache-2.0
"""Measurements, each against a peer in the same run."""
