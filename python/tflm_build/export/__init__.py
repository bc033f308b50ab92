# SPDX-License-Identifier: Apache-2.0
"""What other programs read beside a model; each begins at the manifest, and works out nothing of the model again."""
