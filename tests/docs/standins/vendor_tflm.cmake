# SPDX-License-Identifier: Apache-2.0
# The vendor's TFLM that tests link, under upstream's names.
file(REAL_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.venv/tflm/xmos_ai_tools" vendor_tflm)

# Give a target its headers and its library.
function(stand_in_for_tflm target)
  target_include_directories(${target} INTERFACE "${vendor_tflm}/runtime/include" /usr/include/gemmlowp)
  target_compile_definitions(${target} INTERFACE tflite=tflite_micro)
  target_link_libraries(${target} INTERFACE "${vendor_tflm}/xinterpreters/libs/linux/xtflm_python.so" m)
endfunction()
