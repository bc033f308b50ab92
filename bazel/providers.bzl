# SPDX-License-Identifier: Apache-2.0
"""What the rules provide to other rules."""

TflmModelInfo = provider(
    doc = "A compiled model, for rules that package, verify or report it.",
    fields = {
        "arena": "File: a text with the number of bytes of the arena.",
        "golden": "File: the golden vectors as .npz: input_0.., output_0.., tolerance.",
        "golden_sources": "depset of File: the golden vectors as C, a source and a header.",
        "header": "File: what firmware includes.",
        "manifest": "File: what each stage found, as JSON.",
        "name": "string: the C identifier that files begin with.",
        "sources": "depset of File: descriptor, data and op resolver, as they are emitted.",
        "symbol": "string: the C identifier that symbols begin with.",
        "tflite": "File: the model as it is shipped.",
    },
)
