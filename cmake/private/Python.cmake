# SPDX-License-Identifier: Apache-2.0
# Find the Python interpreter that has the converter, always one of the host, also when cross compiling.

# Return the folder that has cmake/ and runtime/: the installed Python package, or a checkout.
function(_tflm_build_root result)
  cmake_path(SET root NORMALIZE "${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../..")
  string(REGEX REPLACE "/$" "" root "${root}")
  set(${result} "${root}" PARENT_SCOPE)
endfunction()

# Return the version of this package.
function(_tflm_build_version result)
  include("${CMAKE_CURRENT_FUNCTION_LIST_DIR}/../tflm_build-config-version.cmake")
  set(${result} "${PACKAGE_VERSION}" PARENT_SCOPE)
endfunction()

# Set for all folders of the build
#   TFLM_BUILD_PYTHON      the interpreter that has this version of the package; the user may set it
#   TFLM_BUILD_COMMAND     the command line that runs tflm-build
#   TFLM_BUILD_INCLUDE_DIR the folder of the runtime's headers
#   TFLM_BUILD_PYTHONPATH  the folder of the package where this is a checkout, else empty
#   TFLM_BUILD_HAS_TENSORFLOW  whether the interpreter has TensorFlow, which all sources but .tflite need
function(_tflm_build_find_python)
  _tflm_build_root(root)
  _tflm_build_version(version)
  set(environment "${CMAKE_COMMAND}" -E env "TFLM_BUILD_CALLER=cmake")
  set(checkout "")
  if(EXISTS "${root}/python/tflm_build/__init__.py")
    set(checkout "${root}/python")
    set(path "${checkout}")
    if(NOT CMAKE_HOST_WIN32) # where ';' parts paths, as it does CMake's lists
      cmake_path(CONVERT "${checkout};$ENV{PYTHONPATH}" TO_NATIVE_PATH_LIST path NORMALIZE)
    endif()
    list(APPEND environment "PYTHONPATH=${path}")
  endif()

  _tflm_build_python_candidates("${root}" candidates)
  # What the command needs is imported as well: a checkout is found by a Python that lacks the dependencies.
  string(
    CONCAT script
    "import importlib.util, tflm_build.build\n"
    "print('tensorflow', importlib.util.find_spec('tensorflow') is not None)\n"
    "print('version', tflm_build.__version__)"
  )
  set(tried "")
  foreach(python IN LISTS candidates)
    execute_process(
      COMMAND ${environment} "${python}" -c "${script}"
      OUTPUT_VARIABLE output
      ERROR_VARIABLE output
      RESULT_VARIABLE code
    )
    if(code EQUAL 0 AND output MATCHES "version ${version}\n")
      set(TFLM_BUILD_PYTHON "${python}" CACHE FILEPATH "Python interpreter that has the package tflm_build")
      set(TFLM_BUILD_COMMAND ${environment} "${python}" -m tflm_build CACHE INTERNAL "")
      set(TFLM_BUILD_PYTHONPATH "${checkout}" CACHE INTERNAL "")
      set(TFLM_BUILD_INCLUDE_DIR "${root}/runtime/include" CACHE INTERNAL "")
      set(has_tensorflow OFF)
      if(output MATCHES "tensorflow True")
        set(has_tensorflow ON)
      endif()
      set(TFLM_BUILD_HAS_TENSORFLOW ${has_tensorflow} CACHE INTERNAL "Whether that Python has TensorFlow")
      return()
    endif()
    string(REGEX MATCH "[^\n]*\n?$" last "${output}")
    string(STRIP "${last}" last)
    string(APPEND tried "${python} (${last}), ")
  endforeach()
  set(remedy "pip install tflm-build==${version}, or set TFLM_BUILD_PYTHON to the Python that has it")
  _tflm_build_error("find_package" "no Python has tflm_build ${version}; tried: ${tried}${remedy}")
endfunction()

# Stop if the interpreter lacks TensorFlow and compiling a source needs it.
function(_tflm_build_check_packages name source)
  if(NOT TFLM_BUILD_HAS_TENSORFLOW AND NOT source MATCHES "[.]tflite$|[$]<")
    set(remedy "pip install 'tflm-build[tensorflow-cpu]' there, or set TFLM_BUILD_PYTHON to another Python")
    _tflm_build_error("${name}" "the Python ${TFLM_BUILD_PYTHON} lacks tensorflow; ${remedy}")
  endif()
endfunction()

# List the interpreters to try: the user's choice alone, or the project's, the package's own, and those on the PATH.
function(_tflm_build_python_candidates root result)
  if(TFLM_BUILD_PYTHON)
    set(${result} "${TFLM_BUILD_PYTHON}" PARENT_SCOPE)
    return()
  endif()
  set(candidates ${Python3_EXECUTABLE} ${Python_EXECUTABLE})
  # <environment>/lib/python3.x/site-packages/tflm_build, or <environment>/Lib/site-packages/tflm_build on Windows; the
  # last is that of a checkout.
  foreach(
    python
    IN
    ITEMS ../../../../bin/python3 ../../../Scripts/python.exe .venv/bin/python3 .venv/Scripts/python.exe
  )
    cmake_path(ABSOLUTE_PATH python BASE_DIRECTORY "${root}" NORMALIZE)
    if(EXISTS "${python}")
      list(APPEND candidates "${python}")
    endif()
  endforeach()
  unset(found)
  foreach(name IN ITEMS python3 python)
    find_program(found ${name} NO_CACHE NO_CMAKE_FIND_ROOT_PATH)
    if(found)
      list(APPEND candidates "${found}")
    endif()
    unset(found)
  endforeach()
  list(REMOVE_DUPLICATES candidates)
  set(${result} "${candidates}" PARENT_SCOPE)
endfunction()
