-- planned: every run that was ever planned, once, with its cell's hyperparameters: the left side of
-- the ledger.
create view planned as
select $plan_identity, $hyperparameters, config, $plan_rest
from (
    select plan_files.*
    from plan_files
    $plan_files_once
) as plan_files
left join known_cells using ($cell);
