# SPDX-License-Identifier: Apache-2.0
"""Build trained models into firmware: `tflm_model`, its tests, and what it provides to other rules."""

load("//bazel:providers.bzl", _TflmModelInfo = "TflmModelInfo")
load("//bazel/private:emulated_test.bzl", _tflm_emulated_test = "tflm_emulated_test")
load("//bazel/private:image_test.bzl", _tflm_image_test = "tflm_image_test")
load("//bazel/private:model.bzl", _tflm_model = "tflm_model")
load("//bazel/private:model_test.bzl", _tflm_model_test = "tflm_model_test")

TflmModelInfo = _TflmModelInfo
tflm_emulated_test = _tflm_emulated_test
tflm_image_test = _tflm_image_test
tflm_model = _tflm_model
tflm_model_test = _tflm_model_test
