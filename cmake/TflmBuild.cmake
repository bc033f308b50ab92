# SPDX-License-Identifier: Apache-2.0
#[=[.rst:
.. cmake:command:: tflm_add_model

  Compile a trained model at build time, whenever the model, its data or tflm-build changes.

  .. code-block:: cmake

    tflm_add_model(<name> SRC <file> [QUANTIZE none|int8|int16x8] [WEIGHT_TYPE int8|int4|auto]
                   [IO_TYPE auto|float32] [DENSE_SCALES channel|tensor] [CALIBRATION <data>]
                   [TEST_DATA <data>] [MAX_LSB <n>] [MAX_FLOAT_ERROR <x>] [MIN_TOP1 <x>] [MIN_SQNR <dB>]
                   [MAX_FLASH <size>] [MAX_ARENA <size>] [MAX_MACS <count>] [PLAN auto|off]
                   [SHRINK auto|off] [TARGET <processor>] [KERNELS auto|reference|cmsis-nn|esp-nn]
                   [ARENA <size>]
                   [EMBED auto|array|incbin] [SYMBOL <name>] [SECTION <name>] [ALIGN <bytes>] [KEEP_NAMES] [REPORT]
                   [UNSAFE_DESERIALIZE])

  ``add_tflm_model()`` is an alias: another name of this command, which the guides use.

  It makes the targets

  ``<name>``
    static library: the const data and the descriptor; brings its headers and the runtime
  ``tflm_build::<name>``
    alias of it
  ``<name>_generate``
    the conversion alone
  ``<name>_golden``
    static library: golden vectors for tests

  and takes

  ``SRC``
    the trained model: .keras, .h5, .hdf5, .tflite, a SavedModel folder, or module.py:function that returns one
  ``QUANTIZE``
    quantization scheme; none leaves the model unchanged; one of none (default), int8, int16x8
  ``WEIGHT_TYPE``
    element type of the weights of convolutions and dense layers in an int8 model: int4 halves their flash, and changes
    the answers; auto searches which layers take it, for a budget of flash or a floor of accuracy; one of int8
    (default), int4, auto
  ``IO_TYPE``
    element type of inputs and outputs of a quantized model: auto is its integer type; one of auto (default), float32
  ``DENSE_SCALES``
    scales of the weights of dense layers where a model is quantized: one for each output channel, or, for a TFLM from
    before September 2024, one for the whole tensor; one of channel (default), tensor
  ``CALIBRATION``
    calibration data, required to quantize: an .npz with one array per input, an .npy, a folder of .npy files or images,
    module.py:function that yields samples, or random:N for trials
  ``TEST_DATA``
    data that golden inputs are taken from and accuracy is measured on, like ``CALIBRATION``; an array 'labels' has the
    class of each sample; default: the calibration data
  ``MAX_LSB``
    largest difference of the outputs from LiteRT's, in steps, which each layer is allowed too on equal inputs; default:
    outputs are not limited, layers equal but for known differences of rounding
  ``MAX_FLOAT_ERROR``
    largest difference from the float model, in real numbers; default: not limited
  ``MIN_TOP1``
    smallest share, 0 to 1, of samples whose largest output is that of the label, or of the float model where the test
    data has no labels; default: not limited
  ``MIN_SQNR``
    smallest signal-to-quantization-noise ratio of the outputs in dB, before a final SOFTMAX, against the float model;
    with a source of int8 and weights of 4 bits against that source; default: not limited
  ``MAX_FLASH``
    budget of flash for the model's data, in bytes, with K or M for 1024s
  ``MAX_ARENA``
    budget of the arena, in bytes, with K or M for 1024s
  ``MAX_MACS``
    budget of multiply-accumulates of one run, with K or M for 1000s
  ``PLAN``
    plan the arena offline where TFLM's own planner wastes some; one of auto (default), off
  ``SHRINK``
    drop from an integer model what no input can show, such as channels that never change; every answer stays the same,
    which is proven on TFLM; one of auto (default), off
  ``TARGET``
    processor that the arena's size is computed for; auto: what the toolchain, ESP-IDF or Zephyr says; host: it is
    measured here, with reference kernels; any32: the most that a chip of 32 bits needs; one of auto (default), host,
    cortex-m0, cortex-m0plus, cortex-m1, cortex-m3, cortex-m4, cortex-m7, cortex-m23, cortex-m33, cortex-m35p,
    cortex-m52, cortex-m55, cortex-m85, esp32, esp32s3, esp32p4, riscv32, any32
  ``KERNELS``
    kernels of the TFLM on the ``TARGET``; auto: those that ask for most memory; one of auto (default), reference,
    cmsis-nn, esp-nn
  ``ARENA``
    bytes of arena that tflm_arena_used() reported on a device, with K or M for 1024s: emitted in place of what is
    worked out
  ``EMBED``
    how the data gets into the program: as a C array, or by the assembler's .incbin, which compiles in no time; auto is
    incbin where the toolchain has it; one of auto (default), array, incbin
  ``SYMBOL``
    C identifier that the emitted symbols begin with, where models of a program have one name; default: the name
  ``SECTION``
    linker section of the data; default: that of constants
  ``ALIGN``
    alignment of the data in bytes, a power of two from 16 to 4096; default: 16
  ``KEEP_NAMES``
    keep the names of tensors in the model, for debugging
  ``REPORT``
    write the report on the model as well, NAME.html
  ``UNSAFE_DESERIALIZE``
    let Keras run code that lies in the source, as Lambda layers do

  Relative files are looked for in the source folder, then, for files that a custom command of this folder makes, in the
  binary folder. A file that is made elsewhere is passed by a generator expression, such as ``$<1:<path>>``, together
  with ``add_dependencies(<name>_generate <target>)``.

  Rules of your own find what was made in properties of the target ``<name>``, each of them the path of a file:

  ``TFLM_MANIFEST``
    what each stage found, as JSON
  ``TFLM_TFLITE``
    the model as it is shipped
  ``TFLM_ARENA_SIZE``
    the number of bytes of the arena, known only once the model is built

.. cmake:command:: tflm_add_model_test

  Add the CTest ``<name>.golden``: a C program, ``<name>_golden_test``, runs the golden vectors through the runtime and
  compares. When cross compiling, it runs in ``CMAKE_CROSSCOMPILING_EMULATOR``.

  .. code-block:: cmake

    tflm_add_model_test(<name> [MODEL <model>] [BACKEND native|host] [EMULATOR <command> [<argument>...]])

  ``MODEL``
    the model to test; ``<name>`` if left out
  ``BACKEND``
    ``native`` links your TFLM, ``host`` asks the interpreter of the Python package; that of the build if left out
  ``EMULATOR``
    command that runs the test program

.. cmake:command:: tflm_verify_image

  Add the CTest ``<executable>.verify``: it reads the models out of the linked image and checks their bytes, alignment
  and place, and that TFLM gives the golden outputs with them.

  .. code-block:: cmake

    tflm_verify_image(TARGET <executable> MODELS <model>... [POST_BUILD])

  ``TARGET``
    the executable
  ``MODELS``
    the models that are linked into it
  ``POST_BUILD``
    check each time the executable is linked, instead of in a test: a failure fails the build

.. cmake:variable:: TFLM_PROVIDER

  Where TensorFlow Lite for Microcontrollers (TFLM) comes from, once in a build. The target ``tflm_build::tflm`` has
  what was found; one line of the output of CMake says what that is.

  ``auto``
    the default: the first of ``target``, ``root`` and ``source`` that there is; else ``host``, or ``none`` when cross
    compiling
  ``target``
    a target of the project: ``TFLM_TARGET`` names it; those of pico-tflmicro, esp-tflite-micro and Zephyr are known
  ``root``
    a folder with headers and a library: ``TFLM_ROOT``; ``TFLM_LIBRARY`` names the library where there are several
  ``source``
    a folder that upstream's create_tflm_tree.py wrote: ``TFLM_SOURCE_DIR``; compiled with the project's toolchain
  ``host``
    the interpreter of the Python package, in a helper process: to run firmware code on a developer's machine
  ``none``
    data, headers and descriptors alone

.. cmake:variable:: TFLM_BUILD_PROBE

  May be set before the first model: OFF does not compile a probe, which tells the sizes of TFLM's structures, for which
  arenas are then computed.

.. cmake:variable:: TFLM_BUILD_INCLUDE_DIR

  The folder of the runtime's headers. The runtime's target is ``tflm_build_runtime``, which is installed and exported
  together with the models.

.. cmake:variable:: TFLM_BUILD_PYTHON

  May be set before the package is found: the Python interpreter that has the package ``tflm_build``.

.. cmake:variable:: TFLM_BUILD_JOBS

  May be set before the package is found: conversions that Ninja runs at once; as many as the machine has memory for if
  not set.
#]=]
include_guard(GLOBAL)

if(CMAKE_VERSION VERSION_LESS 3.22)
  message(
    FATAL_ERROR
    "tflm-build: error: CMake ${CMAKE_VERSION} is too old; 3.22 and newer are supported; pip install cmake"
  )
endif()
# Functions keep the policies that they were defined with, whatever the project's own are.
cmake_policy(VERSION 3.22)

include("${CMAKE_CURRENT_LIST_DIR}/private/Arguments.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Embed.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Jobs.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Model.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Python.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Runtime.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Target.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/Tflm.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/private/TflmTarget.cmake")

_tflm_build_check_languages()
_tflm_build_find_python()
_tflm_build_add_job_pool()

function(tflm_add_model name)
  cmake_parse_arguments(PARSE_ARGV 1 whole "" "SRC;CALIBRATION;TEST_DATA" "")
  _tflm_build_add_model(tflm_add_model "${name}" "${ARGN}")
endfunction()

function(add_tflm_model name)
  cmake_parse_arguments(PARSE_ARGV 1 whole "" "SRC;CALIBRATION;TEST_DATA" "")
  _tflm_build_add_model(add_tflm_model "${name}" "${ARGN}")
endfunction()

function(tflm_add_model_test name)
  _tflm_build_parse(tflm_add_model_test "${name}" "MODEL;BACKEND" "" EMULATOR "${ARGN}")
  set(model "${name}")
  if(DEFINED arg_MODEL)
    set(model "${arg_MODEL}")
  endif()
  _tflm_build_check_model(tflm_add_model_test "${name}" "${model}" manifest)
  _tflm_build_test_backend("${name}" "${arg_BACKEND}" backend)

  cmake_path(GET manifest PARENT_PATH folder)
  _tflm_build_library_with(${model} "${folder}" ${backend} library)
  _tflm_build_root(root)
  set(program ${name}_golden_test)
  add_executable(${program} "${root}/runtime/src/model_test.c" "${folder}/${model}_golden.c")
  get_target_property(symbol ${model} TFLM_BUILD_SYMBOL)
  target_compile_definitions(${program} PRIVATE TFLM_GOLDEN=${symbol}_golden)
  target_link_libraries(${program} PRIVATE ${library})
  _tflm_build_keep_apart(${program})
  add_dependencies(${program} ${model}_generate)
  if(DEFINED arg_EMULATOR)
    add_test(NAME ${name}.golden COMMAND ${arg_EMULATOR} "$<TARGET_FILE:${program}>")
  else()
    add_test(NAME ${name}.golden COMMAND ${program})
  endif()
  set_tests_properties(${name}.golden PROPERTIES TIMEOUT 300)
endfunction()

function(tflm_verify_image)
  _tflm_build_parse(tflm_verify_image image TARGET POST_BUILD MODELS "${ARGN}")
  _tflm_build_require(tflm_verify_image image TARGET "<executable>")
  _tflm_build_require(tflm_verify_image "${arg_TARGET}" MODELS "<model>...")
  if(NOT TARGET ${arg_TARGET})
    set(remedy "call add_executable(${arg_TARGET} ...) first")
    _tflm_build_error(image "tflm_verify_image got TARGET '${arg_TARGET}', which is no target; ${remedy}")
  endif()
  set(command ${TFLM_BUILD_COMMAND} verify "$<TARGET_FILE:${arg_TARGET}>")
  foreach(model IN LISTS arg_MODELS)
    _tflm_build_check_model(tflm_verify_image "${arg_TARGET}" "${model}" manifest)
    list(APPEND command --model "${manifest}")
  endforeach()
  if(arg_POST_BUILD)
    add_custom_command(
      TARGET ${arg_TARGET}
      POST_BUILD
      COMMAND ${command}
      COMMENT "Verifying the models in ${arg_TARGET}"
      VERBATIM
    )
  else()
    add_test(NAME ${arg_TARGET}.verify COMMAND ${command})
    set_tests_properties(${arg_TARGET}.verify PROPERTIES TIMEOUT 300)
  endif()
endfunction()
