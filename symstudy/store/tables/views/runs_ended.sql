-- runs_ended: study, run, pack, outcome and reason of every run that has ended, once; read into memory
-- when the store was opened.
create view runs_ended as
select runs_keys.*
from runs_keys
$runs_keys_once;
