# SPDX-License-Identifier: Apache-2.0
# Check the arguments of the public functions.

# Stop with an error in the words of the house: what, what came, what is allowed, the remedy.
function(_tflm_build_error name message)
  message(FATAL_ERROR "tflm-build: error: ${name}: ${message}")
endfunction()

# Set arg_<KEYWORD> in the caller for each "KEYWORD value" in a list of arguments.
#
#   function   who is called, for messages
#   name       the model
#   keywords   list of those allowed; each takes one value
#   arguments  list of what the user passed
function(_tflm_build_parse function name keywords arguments)
  set(keyword "")
  foreach(argument IN LISTS arguments)
    if(keyword STREQUAL "")
      set(keyword "${argument}")
      if(NOT keyword IN_LIST keywords)
        _tflm_build_suggest("${keyword}" "${keywords}" suggestion)
        _tflm_build_error("${name}" "${function} got the unknown keyword '${keyword}'; ${suggestion}")
      elseif(DEFINED value_${keyword})
        _tflm_build_error("${name}" "${function} got ${keyword} twice; pass it once")
      endif()
    elseif(argument STREQUAL "" OR argument IN_LIST keywords)
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
  foreach(folder IN ITEMS "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_BINARY_DIR}")
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${folder}" NORMALIZE OUTPUT_VARIABLE path)
    get_source_file_property(generated "${path}" GENERATED)
    if(generated OR EXISTS "${path}")
      set(${result} "${path}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(places "neither exists in ${CMAKE_CURRENT_SOURCE_DIR} nor is made by a custom command of this folder")
  _tflm_build_error("${name}" "add_tflm_model got ${keyword} '${file}', which ${places}; check the path")
endfunction()
