-- runs_merged: runs of merged files, which have all hyperparameters beside them: a query of these
-- joins nothing.
create view runs_merged as
select $run_identity, runs_files.pack_id, $copies, known_cells.config, $run_measures
from (
    select runs_merged_files.*
    from runs_merged_files
    $runs_merged_once
) as runs_files
left join known_cells using ($cell);
