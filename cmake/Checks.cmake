# The tree's own rules as tests: one line each, quick the second time (results are kept by content in the cache).
find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

function(moveout_check name)
  add_test(NAME check_${name} COMMAND ${Python3_EXECUTABLE} ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(check_${name} PROPERTIES LABELS check TIMEOUT 900)
endfunction()

moveout_check(layers tools/check_layers.py)
moveout_check(coroutines tools/check_coroutines.py)
moveout_check(text tools/check_text.py)
moveout_check(format tools/check_text.py --format)
moveout_check(headers tools/check_headers.py ${CMAKE_BINARY_DIR})
moveout_check(tidy tools/check_tidy.py ${CMAKE_BINARY_DIR})
# These two take every core themselves.
set_tests_properties(check_headers check_tidy PROPERTIES RUN_SERIAL TRUE)
if(MOVEOUT_MUTANTS AND TARGET moveout-sim)
  moveout_check(release_binary tools/check_binary.py ${CMAKE_SOURCE_DIR}/build/moveout $<TARGET_FILE:moveout-sim>)
endif()
