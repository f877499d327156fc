-- planned: every run that was ever planned, once: the left side of the ledger.
create view planned as
select plan_files.*
from plan_files
$plan_files_once;
