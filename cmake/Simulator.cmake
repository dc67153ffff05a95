# The simulator as tests: the seeds of MOVEOUT_SIM_SEEDS, and, in a build that has them, mutants that must be caught. One seed again: moveout-sim --seed N --trace.
if(NOT TARGET moveout-sim)
  return()
endif()
# Not yet the 1,000 seeds and every mutant that are the aim: seeds 14, 249 and 785 still fail, see docs/proof.md.
add_test(NAME sim_seeds COMMAND moveout-sim --seeds ${MOVEOUT_SIM_SEEDS})
set_tests_properties(sim_seeds PROPERTIES LABELS sim TIMEOUT 1500)
if(MOVEOUT_MUTANTS)
  add_test(NAME sim_mutants COMMAND moveout-sim --mutants eventual_scan fold_tie tombstone_forgotten checkpoint_before_ack
           checkpoint_before_data guard_on_key_only backfill_ignores_guard backfill_version_high band_before_era no_sweep
           fold_no_inherit finished_row_dropped_before_child start_at_latest skip_to_trim_horizon child_before_parent
           closed_shard_done_half_read one_of_two_children_missed first_listing_page_only)
  set_tests_properties(sim_mutants PROPERTIES LABELS sim TIMEOUT 1500)
endif()
