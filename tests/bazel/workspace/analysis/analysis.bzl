# SPDX-License-Identifier: Apache-2.0
"""What the rules say and do before anything runs."""

load("@bazel_skylib//lib:unittest.bzl", "analysistest", "asserts")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")
load("@tflm_build//bazel:defs.bzl", "TflmModelInfo")

def _names(files):
    return sorted([file.basename for file in files])

def _providers_test_impl(ctx):
    env = analysistest.begin(ctx)
    target = analysistest.target_under_test(env)
    info = target[TflmModelInfo]
    asserts.equals(env, "sine", info.name)
    asserts.equals(
        env,
        ["sine.tflite", "sine.json", "sine_golden.npz", "sine.h", "sine.arena"],
        [file.basename for file in [info.tflite, info.manifest, info.golden, info.header, info.arena]],
    )
    asserts.equals(env, ["sine.c", "sine_data.S", "sine_ops.cc"], _names(info.sources.to_list()))
    asserts.equals(env, ["sine_golden.c", "sine_golden.h"], _names(info.golden_sources.to_list()))

    compilation = target[CcInfo].compilation_context
    asserts.true(env, "sine.h" in _names(compilation.headers.to_list()), "firmware includes the header")
    asserts.true(env, "model.h" in _names(compilation.headers.to_list()), "it brings the runtime")
    libraries = [
        library
        for input in target[CcInfo].linking_context.linker_inputs.to_list()
        for library in input.libraries
    ]
    asserts.true(env, len(libraries) >= 2, "it links its data and the runtime")

    groups = target[OutputGroupInfo]
    for group, names in {
        "arena": ["sine.arena"],
        "golden": ["sine_golden.npz"],
        "golden_sources": ["sine_golden.c", "sine_golden.h"],
        "header": ["sine.h"],
        "manifest": ["sine.json"],
        "sources": ["sine.c", "sine_data.S", "sine_ops.cc"],
        "tflite": ["sine.tflite"],
    }.items():
        asserts.equals(env, names, _names(getattr(groups, group).to_list()))
    return analysistest.end(env)

providers_test = analysistest.make(_providers_test_impl)

def _action_test_impl(ctx):
    env = analysistest.begin(ctx)
    actions = [action for action in analysistest.target_actions(env) if action.mnemonic == "TflmModel"]
    asserts.equals(env, 1, len(actions))
    action = actions[0]
    asserts.equals(
        env,
        ["calibration.npz", "sine.keras", "tflm-build", "versions.txt"],
        [name for name in _names(action.inputs.to_list()) if not name.endswith(".params")],
    )
    asserts.equals(
        env,
        [
            "sine.arena",
            "sine.c",
            "sine.h",
            "sine.json",
            "sine.tflite",
            "sine_data.S",
            "sine_golden.c",
            "sine_golden.h",
            "sine_golden.npz",
            "sine_ops.cc",
        ],
        _names(action.outputs.to_list()),
    )
    asserts.true(env, action.argv[0].endswith("/tflm-build"), "no shell stands before the converter")
    words = " ".join(action.argv[1:])
    for expected in [
        "convert --quiet",
        "--name sine --src models/sine.keras --calibration models/calibration.npz",
        "--embed incbin",
        "--max-arena 4K",
        "--quantize int8",
        "--section .rodata.models",
    ]:
        asserts.true(env, expected in words, "'{}' in {}".format(expected, words))
    for unset in ["--keep-names", "--max-lsb", "--min-top1", "--align"]:
        asserts.false(env, unset in words, "'{}' in {}".format(unset, words))
    asserts.false(env, " /" in words, "an absolute path in " + words)
    return analysistest.end(env)

action_test = analysistest.make(_action_test_impl)

def _shared_test_impl(ctx):
    env = analysistest.begin(ctx)
    mnemonics = [action.mnemonic for action in analysistest.target_actions(env)]
    asserts.equals(env, ctx.attr.shared, "TflmModel" not in mnemonics)
    return analysistest.end(env)

shared_test = analysistest.make(
    _shared_test_impl,
    attrs = {"shared": attr.bool(mandatory = True)},
)

def _failure_test_impl(ctx):
    env = analysistest.begin(ctx)
    asserts.expect_failure(env, ctx.attr.expected)
    return analysistest.end(env)

failure_test = analysistest.make(
    _failure_test_impl,
    attrs = {"expected": attr.string(mandatory = True)},
    expect_failure = True,
)

no_toolchain_test = analysistest.make(
    _failure_test_impl,
    attrs = {"expected": attr.string(mandatory = True)},
    config_settings = {"//command_line_option:extra_toolchains": "//analysis:missing"},
    expect_failure = True,
)
