# SPDX-License-Identifier: Apache-2.0
"""Say which files an option that takes a path stands for, and where the converter finds them."""

def _folder_of(ctx, option, files):
    """Return the folder that files lie in: that of a SavedModel, or the one that they share."""
    for file in files:
        if file.basename == "saved_model.pb":
            return _place(file).rpartition("/")[0]
    folders = {_place(file).rpartition("/")[0]: None for file in files}.keys()
    if len(folders) > 1:
        shown = ", ".join([repr(folder) for folder in sorted(folders)[:3]])
        fail("tflm-build: error: {}: {} got files of several folders: {}; allowed: a file, or the files of one folder".format(
            ctx.label.name,
            option.upper(),
            shown,
        ))
    return folders[0]

def _place(file):
    """Return where a file lies among those that the converter sees, whether the build makes it or not."""
    return file.short_path[3:] if file.short_path.startswith("../") else file.short_path

def option_input(ctx, option):
    """Return what the converter gets for `src`, `calibration` or `test_data`.

    Files of a folder, and all that a Python function may import or read, are staged: they are what the converter finds
    at their place, whatever else lies there in the source tree.

    Args:
        ctx: of the rule.
        option: the attribute.

    Returns:
        None where it is not set; else a struct: `value` of the option, `files` that it depends on, `staged`
        among them.
    """
    target, function = getattr(ctx.attr, option), getattr(ctx.attr, option + "_function")
    random = ctx.attr.calibration_random if option == "calibration" else 0
    if random and target:
        fail("tflm-build: error: {}: CALIBRATION got both calibration and calibration_random; pass one of them".format(
            ctx.label.name,
        ))
    if random:
        return struct(value = "random:{}".format(random), files = [], staged = [])
    if not target:
        if function:
            fail("tflm-build: error: {0}: {1}_function got '{2}', but {1} has no Python file; pass one".format(
                ctx.label.name,
                option,
                function,
            ))
        return None
    files = getattr(ctx.files, option)
    if not files:
        fail("tflm-build: error: {}: {} got {}, which has no files; allowed: a file, or the files of one folder".format(
            ctx.label.name,
            option.upper(),
            target.label,
        ))
    if function:
        if len(files) != 1:
            fail("tflm-build: error: {}: {} got {} files; with {}_function, pass one Python file, and in data the others".format(
                ctx.label.name,
                option.upper(),
                len(files),
                option,
            ))
        value = "{stage}/" + _place(files[0]) + ":" + function
        return struct(value = value, files = files, staged = files + ctx.files.data)
    if len(files) == 1 and files[0].basename != "saved_model.pb":
        return struct(value = files[0].path, files = files, staged = [])
    return struct(value = "{stage}/" + _folder_of(ctx, option, files), files = files, staged = files)

def stage(arguments, files):
    """Tell the converter of staged files.

    Args:
        arguments: what to add to.
        files: list of File; one that is listed twice is staged once.
    """
    for file in {file: None for file in files}.keys():
        arguments.add("--stage", file)
        arguments.add(_place(file))
