-- cells: one row a cell, over the seeds that are done: their number, and of each final measure the
-- mean and the 95 % t interval of the mean.
create view cells as
select means.study, means.cell_id, $cell_hyperparameters, seeds, $mean_names
from (
    select study, cell_id, count(*) as seeds,
    $means
    from (
        select runs_files.*
        from runs_files
        $runs_files_once
    )
    where outcome = 'done'
    group by study, cell_id
) as means
left join known_cells using ($cell);
