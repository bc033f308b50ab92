# SPDX-License-Identifier: Apache-2.0
"""What inspect, diff and estimate say; they begin at a manifest or a model."""
