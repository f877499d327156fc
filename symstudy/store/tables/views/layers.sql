-- layers: one row a run, detailed probe and hidden layer, with the run's hyperparameters.
-- is_final marks the last probe of each run.
create view layers as
select
    layers_files.* exclude ($pack),
    layers_files.step = max(layers_files.step) over (partition by configurations.study, run_id) as is_final,
    configurations.* exclude (run_id, pack_id)
from layers_files
join configurations using (run_id, $pack);
