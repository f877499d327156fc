-- runs: every run that has ended, once, with its hyperparameters and final measures.
-- A run that was trained again keeps the row that is done, or else the latest.
create view runs as
select *
from runs_files
qualify row_number() over (
    partition by study, run_id
    order by (outcome = 'done') desc, finished_at desc, pack_id
) = 1;
