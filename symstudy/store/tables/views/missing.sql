-- missing: planned runs that have not ended.
create view missing as
select planned.*
from planned
anti join runs_keys on planned.study = runs_keys.study and planned.run_id = runs_keys.run_id;
