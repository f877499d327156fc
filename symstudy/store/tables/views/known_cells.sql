-- known_cells: every planned cell, once, with its hyperparameters.
create view known_cells as
select cells_files.study, cells_files.cell_id, $known_cells
from cells_files
$cells_files_once;
