-- missing: planned runs that have not ended.
create view missing as
select planned.*
from planned
anti join runs on planned.study = runs.study and planned.run_id = runs.run_id;
