-- runs: every run that has ended, once, with its cell's hyperparameters and its final measures.
-- A run that was trained again keeps the row that is done, or else stopped, or else the latest.
create view runs as
select * from $runs_sources;
