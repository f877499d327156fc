-- certificates: final measures of runs that were trained once more alone, with the run's
-- hyperparameters. deviation is the difference of the two values, relative_deviation the same over
-- the value alone.
create view certificates as
select
    certificates_files.* $but_study,
    abs(packed - alone) as deviation,
    case when packed = alone then 0 else abs(packed - alone) / greatest(abs(alone), 1e-300) end
        as relative_deviation,
    configurations.* exclude (run_id, pack_id)
from certificates_files
join configurations using (run_id, $pack);
