# SPDX-License-Identifier: Apache-2.0
"""What TFLM asks of its arena for a model: worked out from the model alone. It starts nothing, and knows no options."""
