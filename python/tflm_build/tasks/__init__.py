# SPDX-License-Identifier: Apache-2.0
"""What runs in a child process. TensorFlow, quantizer and interpreters are imported here alone, and tasks by nobody."""
