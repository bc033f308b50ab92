# SPDX-License-Identifier: Apache-2.0
"""The manifest as others read it: schema, reading, records. It imports no stage, and nothing that writes it."""
