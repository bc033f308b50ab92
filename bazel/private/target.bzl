# SPDX-License-Identifier: Apache-2.0
"""Find out which processor the arena of a model is for, and which kernels TFLM has there."""

load("@rules_cc//cc/common:cc_common.bzl", "cc_common")
load("@rules_cc//cc/common:cc_info.bzl", "CcInfo")

# What a platform may say, and a compiler's option or a C++ toolchain's name of its processor.
CORES = [
    "cortex-m0",
    "cortex-m0plus",
    "cortex-m1",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m23",
    "cortex-m33",
    "cortex-m35p",
    "cortex-m52",
    "cortex-m55",
    "cortex-m85",
    "esp32",
    "esp32s3",
    "esp32p4",
    "riscv32",
]

# The library of optimized kernels for a family of processors, by what their names begin with.
_LIBRARIES = {"cor": "cmsis-nn", "esp": "esp-nn"}

# It has the options that name a processor, but no modules, which layering_check asks of what compiles C.
_ASSEMBLE = "preprocess-assemble"

def _has(ctx, constraint):
    return ctx.target_platform_has_constraint(constraint[platform_common.ConstraintValueInfo])

def find_target(ctx, cc_toolchain, features):
    """Say which processor a model is for.

    Args:
        ctx: of the rule.
        cc_toolchain: of the target.
        features: of that toolchain.

    Returns:
        A value of the attribute `target`: what the platform says, else the compiler's options, else the toolchain.
    """
    for core, constraint in zip(CORES, ctx.attr._cores):
        if _has(ctx, constraint):
            return core
    words = []
    if cc_common.action_is_enabled(feature_configuration = features, action_name = _ASSEMBLE):
        variables = cc_common.create_compile_variables(
            cc_toolchain = cc_toolchain,
            feature_configuration = features,
            user_compile_flags = ctx.fragments.cpp.copts + ctx.fragments.cpp.conlyopts + ctx.attr.copts,
        )
        words = cc_common.get_memory_inefficient_command_line(
            action_name = _ASSEMBLE,
            feature_configuration = features,
            variables = variables,
        )
    named = [word[len("-mcpu="):].partition("+")[0] for word in words if word.startswith("-mcpu=")]
    for name in reversed([cc_toolchain.cpu] + named):
        if name in CORES:
            return name
    if [word for word in words if word.startswith("-march=rv32")]:
        return "riscv32"
    return "host" if [each for each in ctx.attr._wide if _has(ctx, each)] else "any32"

def may_have(kernels, target):
    """Say whether a processor that was found may have kernels; others are for platforms that a model has besides.

    Args:
        kernels: a value of the attribute `kernels`.
        target: a value of the attribute `target`.

    Returns:
        Whether it may.
    """
    return kernels not in _LIBRARIES.values() or target.startswith("any") or _LIBRARIES.get(target[:3]) == kernels

def find_kernels(ctx, target):
    """Say which kernels the TFLM that is linked has for a target, by the names of its headers and libraries.

    Args:
        ctx: of the rule, whose attribute `_tflm` is the library.
        target: a value of the attribute `target`.

    Returns:
        A value of the attribute `kernels`; auto where the names do not tell.
    """
    library = _LIBRARIES.get(target[:3])
    if library and CcInfo in ctx.attr._tflm:
        tflm = ctx.attr._tflm[CcInfo]
        files = tflm.compilation_context.headers.to_list()
        for input in tflm.linking_context.linker_inputs.to_list():
            for each in input.libraries:
                files += [file for file in [each.static_library, each.pic_static_library, each.dynamic_library] if file]
        for file in files:
            if library in file.path.replace("_", "-"):
                return library
    return "auto"
