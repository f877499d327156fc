-- planned: every run that was ever planned, once: the left side of the ledger.
create view planned as
select *
from plan_files
qualify row_number() over (partition by study, run_id order by planned_at) = 1;
