# SPDX-License-Identifier: Apache-2.0
"""Say what the recurrent layers cost whose steps stand one behind the other."""

from collections.abc import Iterator

from tflm_build.model.model import Model
from tflm_build.model.recurrent import UNROLLED
from tflm_build.passes.model_draft import ModelDraft

__all__ = ["cost_of_unrolled"]


def cost_of_unrolled(model: Model) -> Iterator[str]:
    """Yield a note where layers were unrolled: the flash that the model would not need without their operators.

    What a layer inside of a loop costs is not counted: none is unrolled there.
    """
    places = {place for place, layer in enumerate(model.layers[0]) if UNROLLED in layer.split("/")}
    if not places:
        return
    without = ModelDraft(model)
    without.remove(places)
    size = len(model.flatbuffer) - len(without.finish().flatbuffer)
    yield (
        f"unrolled layers are {len(places):,} of {len(model.layers[0]):,} operators and {size:,} B of "
        f"{len(model.flatbuffer):,} B of flash"
    )
