-- certificates: final measures of runs that were trained once more alone, and their deviation.
create view certificates as
select certificates_files.* $but_study, abs(packed - alone) as deviation
from certificates_files
join configurations using (run_id, $pack);
