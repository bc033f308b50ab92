# SPDX-License-Identifier: Apache-2.0
"""Say which files an option that takes a path stands for, and where the converter finds them."""

def _folders_of(files):
    """Return the folder that files lie in, that of a SavedModel or the one that they share; else all their folders."""
    for file in files:
        if file.basename == "saved_model.pb":
            return [_place(file).rpartition("/")[0]]
    return {_place(file).rpartition("/")[0]: None for file in files}.keys()

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
        among them; or `error`, what is wrong with it.
    """
    target, function = getattr(ctx.attr, option), getattr(ctx.attr, option + "_function")
    random = ctx.attr.calibration_random if option == "calibration" else 0
    if random and target:
        return struct(
            error = "calibration got both calibration and calibration_random; pass one of them",
        )
    if random:
        return struct(error = None, value = "random:{}".format(random), files = [], staged = [])
    if not target and not function:
        return None
    if not target:
        return struct(
            error = "{0}_function got '{1}', but {0} has no Python file; pass one".format(option, function),
        )
    files = getattr(ctx.files, option)
    if not files:
        return struct(
            error = "{} got {}, which has no files; allowed: a file, or the files of one folder".format(
                option,
                target.label,
            ),
        )
    if function:
        if len(files) != 1:
            return struct(
                error = "{} got {} files; with {}_function, pass one Python file, and in data the others".format(
                    option,
                    len(files),
                    option,
                ),
            )
        value = "{stage}/" + _place(files[0]) + ":" + function
        return struct(error = None, value = value, files = files, staged = files + ctx.files.data)
    if len(files) == 1 and files[0].basename != "saved_model.pb":
        return struct(error = None, value = files[0].path, files = files, staged = [])
    folders = _folders_of(files)
    if len(folders) > 1:
        return struct(
            error = "{} got files of several folders: {}; allowed: a file, or the files of one folder".format(
                option,
                ", ".join([repr(folder) for folder in sorted(folders)[:3]]),
            ),
        )
    return struct(error = None, value = "{stage}/" + folders[0], files = files, staged = files)

def stage(arguments, files):
    """Tell the converter of staged files.

    Args:
        arguments: what to add to.
        files: list of File; one that is listed twice is staged once.
    """
    for file in {file: None for file in files}.keys():
        arguments.add("--stage", file)
        arguments.add(_place(file))
