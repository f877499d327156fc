-- representations: activations of hidden layers on the first test inputs, where a study keeps them
-- (probe.representations), with the run's hyperparameters. activations is a list of num_samples rows
-- of num_neurons numbers.
create view representations as
select representations_files.* exclude ($pack), configurations.* exclude (run_id, pack_id)
from representations_files
join configurations using (run_id, $pack);
