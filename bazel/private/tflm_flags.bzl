# SPDX-License-Identifier: Apache-2.0
"""How the C++ is compiled that calls TensorFlow Lite for Microcontrollers: as its own makefiles do."""

CXX_FLAGS = ["-std=c++17", "-fno-rtti", "-fno-exceptions", "-fno-threadsafe-statics"]
