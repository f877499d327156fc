-- count_curve: distinct neurons of each layer at each relative threshold.
create view count_curve as
select
    layers.* exclude (distinct_curve, distinct_neurons),
    unnest($thresholds::double[]) as threshold,
    unnest(distinct_curve) as distinct_neurons
from layers;
