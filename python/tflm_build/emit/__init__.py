# SPDX-License-Identifier: Apache-2.0
"""Sources, header, manifest and summary, from what the stages found; nothing is worked out here."""
