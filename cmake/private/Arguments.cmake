# SPDX-License-Identifier: Apache-2.0
# Check the arguments of the public functions.

# Stop with an error in the words of the house: what, what came, what is allowed, the remedy.
function(_tflm_build_error name message)
  message(FATAL_ERROR "tflm-build: error: ${name}: ${message}")
endfunction()

# Set arg_<KEYWORD> in the caller for each "KEYWORD value" in a list of arguments, and to TRUE for each flag.
#
#   function   who is called, for messages
#   name       the model
#   keywords   list of those that take one value
#   flags      list of those that take none
#   arguments  list of what the user passed
function(
  _tflm_build_parse
  function
  name
  keywords
  flags
  arguments
)
  set(known ${keywords} ${flags})
  foreach(keyword IN LISTS known)
    unset(value_${keyword}) # a function sees its caller's variables
    unset(arg_${keyword} PARENT_SCOPE)
  endforeach()
  set(keyword "")
  foreach(argument IN LISTS arguments)
    if(keyword STREQUAL "")
      set(keyword "${argument}")
      if(NOT keyword IN_LIST known)
        _tflm_build_suggest("${keyword}" "${known}" suggestion)
        _tflm_build_error("${name}" "${function} got the unknown keyword '${keyword}'; ${suggestion}")
      elseif(DEFINED value_${keyword})
        _tflm_build_error("${name}" "${function} got ${keyword} twice; pass it once")
      elseif(keyword IN_LIST flags)
        set(value_${keyword} TRUE)
        set(arg_${keyword} TRUE PARENT_SCOPE)
        set(keyword "")
      endif()
    elseif(argument STREQUAL "" OR argument IN_LIST known)
      _tflm_build_error("${name}" "${function} needs a value for ${keyword}; got '${argument}'; pass ${keyword} <value>")
    else()
      set(value_${keyword} "${argument}")
      set(arg_${keyword} "${argument}" PARENT_SCOPE)
      set(keyword "")
    endif()
  endforeach()
  if(NOT keyword STREQUAL "")
    _tflm_build_error("${name}" "${function} needs a value for ${keyword}; got none; pass ${keyword} <value>")
  endif()
endfunction()

# Say which keyword may have been meant.
function(_tflm_build_suggest word keywords result)
  set(script "import difflib, sys; print(*difflib.get_close_matches(sys.argv[1].upper(), sys.argv[2:], 1))")
  execute_process(
    COMMAND "${TFLM_BUILD_PYTHON}" -c "${script}" "${word}" ${keywords}
    OUTPUT_VARIABLE match
    OUTPUT_STRIP_TRAILING_WHITESPACE
  )
  if(match)
    set(${result} "did you mean ${match}?" PARENT_SCOPE)
  elseif(keywords)
    list(JOIN keywords ", " allowed)
    set(${result} "allowed: ${allowed}" PARENT_SCOPE)
  else()
    set(${result} "it takes none" PARENT_SCOPE)
  endif()
endfunction()

# Find a file that a keyword names: in the source folder, or in the binary folder if the build makes it.
function(_tflm_build_input name keyword file result)
  if(file MATCHES "^random:")
    set(${result} "${file}" PARENT_SCOPE)
    return()
  endif()
  set(function "")
  if(file MATCHES "^(.*[.]py)(:[A-Za-z_][A-Za-z0-9_]*)$")
    set(file "${CMAKE_MATCH_1}")
    set(function "${CMAKE_MATCH_2}")
  endif()
  foreach(folder IN ITEMS "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_BINARY_DIR}")
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${folder}" NORMALIZE OUTPUT_VARIABLE path)
    get_source_file_property(generated "${path}" GENERATED)
    if(generated OR EXISTS "${path}")
      set(${result} "${path}${function}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(places "neither exists in ${CMAKE_CURRENT_SOURCE_DIR} nor is made by a custom command of this folder")
  _tflm_build_error("${name}" "add_tflm_model got ${keyword} '${file}', which ${places}; check the path")
endfunction()
