-- pairs: one row a pair of runs, probe of both, layer of the first and layer of the second, with the
-- hyperparameters of the first. Those of the second are in runs, by run_b. A pair that was measured
-- twice (with other measures, or by two drivers) keeps what was measured last.
create view pairs as
select
    pairs_files.*,
    configurations.* exclude (study, run_id, pack_id)
from (
    select pairs_files.*
    from pairs_files
    qualify dense_rank() over (partition by study, run_a, run_b order by measured_at desc) = 1
) as pairs_files
join configurations
    on pairs_files.study = configurations.study and pairs_files.run_a = configurations.run_id;
