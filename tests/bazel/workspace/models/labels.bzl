# SPDX-License-Identifier: Apache-2.0
"""Labels as macros of other repositories pass them."""

DENSE = Label("//models:dense")
