# SPDX-License-Identifier: Apache-2.0
"""What runs in a child process. Only tasks import TensorFlow, quantizer and interpreters; nothing imports a task."""
