-- runs_joined: runs of files without hyperparameters, which are those of the planned cells.
create view runs_joined as
select $run_identity, runs_files.pack_id, $cell_hyperparameters, known_cells.config, $run_measures
from (
    select runs_joined_files.*
    from runs_joined_files
    $runs_joined_once
) as runs_files
left join known_cells using ($cell);
