# SPDX-License-Identifier: Apache-2.0
# Check the arguments of the public functions.

# Stop with an error, which says what, what came, what is allowed, and the remedy.
function(_tflm_build_error name message)
  message(FATAL_ERROR "tflm-build: error: ${name}: ${message}")
endfunction()

# Set arg_<KEYWORD> in the caller for each "KEYWORD value" in a list of arguments, and to TRUE for each flag.
#
#   function   who is called, for messages
#   name       the model
#   keywords   list of those that take one value
#   flags      list of those that take none
#   lists      list of those that take one value or more, up to the next keyword
#   arguments  list of what the user passed
function(
  _tflm_build_parse
  function
  name
  keywords
  flags
  lists
  arguments
)
  set(known ${keywords} ${flags} ${lists})
  foreach(keyword IN LISTS known)
    unset(value_${keyword}) # a function sees its caller's variables
    unset(arg_${keyword} PARENT_SCOPE)
  endforeach()
  if(name IN_LIST known)
    _tflm_build_error("${name}" "${function} got a keyword as its first argument; pass a name before ${name}")
  endif()
  set(keyword "")
  set(last_list "")
  foreach(argument IN LISTS arguments)
    if(keyword STREQUAL "" AND NOT last_list STREQUAL "" AND NOT argument IN_LIST known)
      list(APPEND value_${last_list} "${argument}")
    elseif(keyword STREQUAL "")
      set(keyword "${argument}")
      set(last_list "")
      if(NOT keyword IN_LIST known)
        _tflm_build_suggest("${keyword}" "${known}" suggestion)
        _tflm_build_error("${name}" "${function} got the unknown keyword '${keyword}'; ${suggestion}")
      elseif(DEFINED value_${keyword})
        _tflm_build_error("${name}" "${function} got ${keyword} twice; pass it once")
      elseif(keyword IN_LIST flags)
        set(value_${keyword} TRUE)
        set(keyword "")
      endif()
    elseif(argument STREQUAL "" OR argument IN_LIST known)
      _tflm_build_error("${name}" "${function} needs a value for ${keyword}; got '${argument}'; pass ${keyword} <value>")
    else()
      set(value_${keyword} "${argument}")
      if(keyword IN_LIST lists)
        set(last_list "${keyword}")
      endif()
      set(keyword "")
    endif()
  endforeach()
  if(NOT keyword STREQUAL "")
    _tflm_build_error("${name}" "${function} needs a value for ${keyword}; got none; pass ${keyword} <value>")
  endif()
  foreach(keyword IN LISTS known)
    if(DEFINED value_${keyword})
      set(arg_${keyword} "${value_${keyword}}" PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

# Stop if a keyword was not passed.
function(_tflm_build_require function name keyword value)
  if(NOT DEFINED arg_${keyword})
    _tflm_build_error("${name}" "${function} needs ${keyword}; got none; pass ${keyword} ${value}")
  endif()
endfunction()

# Let the command refuse a model's options now rather than in the build; they are asked about once until they change.
#
#   options  its command line, without a name and a folder
function(_tflm_build_check_options name options)
  string(MD5 key "${TFLM_BUILD_PYTHON};${options}")
  if("${TFLM_BUILD_CHECKED_${name}}" STREQUAL key OR options MATCHES "[$]<") # what that stands for is known later
    return()
  endif()
  execute_process(
    COMMAND ${TFLM_BUILD_COMMAND} convert --check --name "${name}" ${options} --out-dir .
    ERROR_VARIABLE output
    RESULT_VARIABLE code
  )
  if(NOT code EQUAL 0)
    string(REGEX REPLACE "^.*tflm-build: error: ${name}: " "" output "${output}")
    string(STRIP "${output}" output)
    _tflm_build_error("${name}" "${output}")
  endif()
  set(TFLM_BUILD_CHECKED_${name} "${key}" CACHE INTERNAL "")
endfunction()

# Stop if a name cannot become a C symbol and a target. The command refuses the keywords of C as well.
function(_tflm_build_check_name function name)
  if(NOT name MATCHES "^[A-Za-z][A-Za-z0-9_]*$")
    _tflm_build_error("${name}" "${function} makes C symbols of its name; got '${name}'; use letters, digits and _")
  elseif(TARGET "${name}")
    _tflm_build_error("${name}" "${function} got a name that another target has: '${name}'; choose another")
  endif()
endfunction()

# Stop if something is no model; return its manifest.
function(_tflm_build_check_model function name model result)
  set(manifest "")
  if(TARGET "${model}")
    get_target_property(manifest "${model}" TFLM_MANIFEST)
  endif()
  if(NOT manifest)
    set(remedy "call add_tflm_model(${model} ...) first")
    _tflm_build_error("${name}" "${function} needs a model; got '${model}', which is none; ${remedy}")
  endif()
  set(${result} "${manifest}" PARENT_SCOPE)
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
  else()
    list(JOIN keywords ", " allowed)
    set(${result} "allowed: ${allowed}" PARENT_SCOPE)
  endif()
endfunction()

# Stop if a path has a character that CMake's lists, or the files that it writes for Ninja and Make, cannot carry.
#
#   characters  more of them
#
# The depfile carries all others: see depfile() of the Python package.
function(
  _tflm_build_check_path
  function
  name
  keyword
  path
  characters
)
  set(fault "")
  string(REPLACE "[" "" opened "${path}")
  string(REPLACE "]" "" closed "${path}")
  string(LENGTH "${opened}" opened)
  string(LENGTH "${closed}" closed)
  if(path MATCHES "[\n\r\t]")
    set(fault "a line break or tab")
    string(REGEX REPLACE "[\n\r\t]" "?" path "${path}")
  elseif(path MATCHES "[;|${characters}\\]")
    set(fault "'${CMAKE_MATCH_0}'")
  elseif(NOT opened EQUAL closed)
    set(fault "'[' or ']' without the other")
  endif()
  if(fault)
    _tflm_build_error("${name}" "${function} got ${keyword} '${path}', which has ${fault} in it; rename it")
  endif()
endfunction()

# Find a file that a keyword names: in the source folder, or in the binary folder if the build makes it.
#
#   result  what the command gets
#   input   the file that the conversion depends on; empty for what the depfile names or nothing stands for
function(
  _tflm_build_input
  function
  name
  keyword
  file
  result
  input
)
  set(${result} "${file}" PARENT_SCOPE)
  set(${input} "" PARENT_SCOPE)
  if(file MATCHES "^random:")
    return()
  elseif(file MATCHES "[$]<")
    set(${input} "${file}" PARENT_SCOPE) # what a generator expression stands for is known later
    return()
  endif()
  # What a function imports from its own folder is named by the depfile.
  set(called "")
  if(file MATCHES "^(.*[.]py)(:[A-Za-z_][A-Za-z0-9_]*)$")
    set(file "${CMAKE_MATCH_1}")
    set(called "${CMAKE_MATCH_2}")
  endif()
  foreach(folder IN ITEMS "${CMAKE_CURRENT_SOURCE_DIR}" "${CMAKE_CURRENT_BINARY_DIR}")
    cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${folder}" NORMALIZE OUTPUT_VARIABLE path)
    get_source_file_property(generated "${path}" GENERATED)
    if(generated OR EXISTS "${path}")
      _tflm_build_check_path(${function} "${name}" ${keyword} "${path}" "")
      set(${result} "${path}${called}" PARENT_SCOPE)
      if(NOT IS_DIRECTORY "${path}") # the depfile names what lies in a folder
        if(path MATCHES ":" AND CMAKE_GENERATOR MATCHES "Makefiles" AND NOT WIN32)
          set(remedy "rename the file or folder, or pass -G Ninja")
          _tflm_build_error("${name}" "${function} got ${keyword} '${path}', which Make cannot carry for its ':'; ${remedy}")
        endif()
        set(${input} "${path}" PARENT_SCOPE)
      endif()
      return()
    endif()
  endforeach()
  set(places "neither exists in ${CMAKE_CURRENT_SOURCE_DIR} nor is made by a custom command of this folder")
  _tflm_build_error("${name}" "${function} got ${keyword} '${file}', which ${places}; check the path")
endfunction()

# Let a model be converted again if a file that it was made from has other bytes, whatever the times of both are.
#
# A build system goes by times: to it, a file that is replaced by an older one is unchanged.
function(_tflm_build_compare_digests manifest inputs)
  if(NOT EXISTS "${manifest}")
    return()
  endif()
  file(READ "${manifest}" text)
  foreach(input IN LISTS inputs)
    if(EXISTS "${input}")
      file(SHA256 "${input}" digest)
      if(NOT text MATCHES "${digest}")
        file(REMOVE "${manifest}")
      endif()
    endif()
  endforeach()
endfunction()
