-- known_cells: every planned cell, once, with its hyperparameters. That a cell has one row already is
-- told to DuckDB by grouping: it then leaves the join out of a query that reads nothing of the cells.
create view known_cells as
select $cell, $known_cells
from (
    select cells_files.*
    from cells_files
    $cells_files_once
)
group by $cell;
