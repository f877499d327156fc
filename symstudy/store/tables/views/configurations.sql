-- configurations: hyperparameters of every run that has ended; what history and layers are joined with.
create view configurations as
select study, run_id, pack_id, cell_id, seed, $hyperparameters, outcome
from runs;
