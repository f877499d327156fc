-- cells: one row a cell, over the seeds that are done: their number, and of each final measure the
-- mean and the 95 % t interval of the mean.
create view cells as
select study, cell_id, $same_hyperparameters, count(*) as seeds,
    $means
from runs
where outcome = 'done'
group by study, cell_id;
