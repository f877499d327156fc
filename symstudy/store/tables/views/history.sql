-- history: one row a run and probe, with the run's hyperparameters.
-- Rows of a pack whose runs were not written (a worker died in between) do not count.
create view history as
select run_id, history_files.step, $history_measures, configurations.* exclude (run_id, pack_id)
from history_files
join configurations using (run_id, $pack);
