# SPDX-License-Identifier: Apache-2.0
"""Compile a trained model into const C data that TensorFlow Lite for Microcontrollers runs."""

__version__ = "0.1.0"

__all__ = ["__version__"]
