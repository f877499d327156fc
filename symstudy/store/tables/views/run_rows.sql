-- run_rows: every run that has ended, once, as it was written: without its cell's hyperparameters,
-- which take DuckDB longer to plan for than the ledger of a study takes.
create view run_rows as
select runs_files.*
from runs_files
$runs_files_once;
