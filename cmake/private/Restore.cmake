# SPDX-License-Identifier: Apache-2.0
# Convert a model again for those of its files that are gone. A script: FILES is the list of them, COMMAND the conversion.
# What is there stays as it is, the manifest too: a newer one would be taken for a new model.

foreach(file IN LISTS FILES)
  if(NOT EXISTS "${file}")
    if(NOT DEFINED folder)
      cmake_path(GET file PARENT_PATH folder)
      string(APPEND folder ".restored")
      file(REMOVE_RECURSE "${folder}")
      execute_process(COMMAND ${COMMAND} --out-dir "${folder}" COMMAND_ERROR_IS_FATAL ANY)
    endif()
    cmake_path(GET file FILENAME name)
    file(COPY_FILE "${folder}/${name}" "${file}")
  endif()
endforeach()
if(DEFINED folder)
  file(REMOVE_RECURSE "${folder}")
endif()
