-- runs: every run that has ended, once, with its cell's hyperparameters and its final measures.
-- A run that was trained again keeps the row that is done, or else stopped, or else the latest.
create view runs as
select $run_identity, runs_files.pack_id, $cell_hyperparameters, known_cells.config, $run_measures
from (
    select runs_files.*
    from runs_files
    $runs_files_once
) as runs_files
left join known_cells using ($cell);
