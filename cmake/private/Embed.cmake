# SPDX-License-Identifier: Apache-2.0
# Get a model's bytes into an object file: a C array, or the assembler's .incbin, which compiles in no time.
include(CheckCSourceCompiles)

# Turn what EMBED says into incbin or array, and return what the file is called by which the data gets in.
function(_tflm_build_resolve_embed name wanted result file_result)
  set(allowed "" auto array incbin)
  if(NOT wanted IN_LIST allowed)
    _tflm_build_error("${name}" "EMBED got '${wanted}'; allowed: auto, array, incbin")
  endif()
  if(NOT wanted STREQUAL "array")
    _tflm_build_has_incbin(has_incbin)
    if(NOT has_incbin AND wanted STREQUAL "incbin")
      set(what "EMBED incbin needs an assembler that has .incbin; got ${CMAKE_C_COMPILER}, which has none")
      _tflm_build_error("${name}" "${what}; leave EMBED out, or pass EMBED array")
    endif()
  endif()
  if(wanted STREQUAL "array" OR NOT has_incbin)
    set(${result} array PARENT_SCOPE)
    set(${file_result} _data.c PARENT_SCOPE)
  else()
    set(${result} incbin PARENT_SCOPE)
    set(${file_result} _data.S PARENT_SCOPE)
  endif()
endfunction()

# Say whether the C compiler assembles .incbin; found out once in a build.
function(_tflm_build_has_incbin result)
  set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
  set(CMAKE_REQUIRED_QUIET ON)
  set(
    source
    "#define TEXT(...) #__VA_ARGS__
#define WORDS(...) TEXT(__VA_ARGS__)
__asm__(WORDS(.incbin __FILE__));
"
  )
  check_c_source_compiles("${source}" TFLM_BUILD_HAS_INCBIN)
  set(${result} "${TFLM_BUILD_HAS_INCBIN}" PARENT_SCOPE)
endfunction()

# Tell a target how the file is compiled by which the data gets in.
function(_tflm_build_embed target file tflite)
  if(file MATCHES "[.]S$")
    # As C, which hands it to the assembler: ASM would have to be enabled by the project, and what the project includes
    # everywhere, as by -include config.h, is C. Symbols that come from the assembler are lost in link-time optimization.
    # By its path: the assembler would take a source file of the same name in the folder that it is started in.
    # The scanner for dependencies does not see what .incbin reads.
    set_source_files_properties(
      "${file}"
      PROPERTIES
        LANGUAGE C
        COMPILE_OPTIONS "-x;c;-fno-lto"
        COMPILE_DEFINITIONS "TFLM_DATA_FILE=\"${tflite}\""
        OBJECT_DEPENDS "${tflite}"
        SKIP_PRECOMPILE_HEADERS ON
    )
  endif()
endfunction()
