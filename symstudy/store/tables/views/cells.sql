-- cells: one row a cell, over the seeds that are done: their number, and of each final measure the
-- mean and the 95 % t interval of the mean. It is made in steps, since DuckDB takes a tenth of a
-- second to read the expressions of all intervals with their quantiles written out in each.
create view cells as
with counted as (
    select study, cell_id, count(*) as seeds, $moments
    from (
        select runs_files.*
        from runs_files
        $runs_files_once
    )
    where outcome = 'done'
    group by study, cell_id
),
widened as (
    select counted.*, $margins
    from counted, (select $quantiles as quantiles)
),
means as (
    select study, cell_id, seeds,
    $means
    from widened
)
select means.study, means.cell_id, $cell_hyperparameters, seeds, $mean_names
from means
left join known_cells using ($cell);
