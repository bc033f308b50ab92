# SPDX-License-Identifier: Apache-2.0
"""Children: processes with limits, in which tasks run, so that their death is an error here and never a crash."""
