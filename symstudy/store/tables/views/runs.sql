-- runs: every run that has ended, once, with its hyperparameters and final measures.
-- A run that was trained again keeps the row that is done, or else stopped, or else the latest.
create view runs as
select runs_files.*
from runs_files
$runs_files_once;
