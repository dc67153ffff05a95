# The simulator as tests. One seed again: moveout-sim --seed N --trace.
if(NOT TARGET moveout-sim)
  return()
endif()
include(ProcessorCount)
ProcessorCount(cores)
if(cores LESS 1)
  set(cores 1)
endif()

# name, how many cores it takes, and what moveout-sim is asked
function(moveout_sim name processors)
  add_test(NAME ${name} COMMAND moveout-sim ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS sim TIMEOUT 1500 PROCESSORS ${processors})
endfunction()

# Every seed passes; where they are as many as the aim is (1,000), every due cell of the matrix has been struck, and the
# median seed is as rich as docs/consistency.md §8 wants it.
set(cells "")
if(MOVEOUT_MUTANTS)
  set(cells --cells)
endif()
moveout_sim(sim_seeds ${cores} --seeds ${MOVEOUT_SIM_SEEDS} --jobs ${cores} ${cells})
# The same seed twice is the same run, line by line, whatever ran before it in the process.
moveout_sim(sim_replay 2 --replay ${MOVEOUT_SIM_REPLAY})

# Every mutant is caught by the seed that docs/proof.md names for it, and the same plan passes without it. The table
# there is the list.
if(MOVEOUT_MUTANTS)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/proof.md)
  file(STRINGS ${CMAKE_SOURCE_DIR}/docs/proof.md rows REGEX "^\\| `[a-z0-9_]+` \\| [0-9]+ \\|")
  set(names "")
  foreach(row IN LISTS rows)
    string(REGEX MATCH "`([a-z0-9_]+)` \\| ([0-9]+)" found "${row}")
    if(NOT found)
      message(FATAL_ERROR "docs/proof.md: no mutant and seed in the row ${row}")
    endif()
    list(APPEND names ${CMAKE_MATCH_1})
    moveout_sim(sim_mutant_${CMAKE_MATCH_1} 1 --caught ${CMAKE_MATCH_1} --seed ${CMAKE_MATCH_2})
  endforeach()
  list(JOIN names "," names)
  moveout_sim(sim_mutants_listed 1 --list-mutants "${names}")
endif()
