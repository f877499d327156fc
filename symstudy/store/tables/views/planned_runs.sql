-- planned_runs: study and identifier of every run that was ever planned, once; read into memory when
-- the store was opened.
create view planned_runs as
select plan_keys.*
from plan_keys
$plan_keys_once;
