-- convergence: one row a run that has ended, with what says whether its counts of neurons and its
-- losses are evidence (docs/design/evidence.md). The time of a probe is its decay budget, or its step
-- where there is none.
-- count_change: largest relative change of a hidden layer's distinct neurons since the last detailed
--   probe at no more than a third of the time; null without such a probe.
-- distance_change: the same of distance_gap, where the layers have one at the end.
-- distance: smallest distance_gap of the hidden layers at the end; null where one has no gap.
-- fullness: largest share of the neurons of a hidden layer that are distinct; 1 is a ceiling.
-- least_norm: norm of the largest neuron of the hidden layer where that is smallest.
-- learned_loss: 1 - test loss / loss of the best constant answer. learned_accuracy: the same for
--   errors of classification; null in regression. grad_ratio, merge_gain: those of runs.
create view convergence as
with probed as (
    -- A model may have a hyperparameter called like a table, so none is named with its columns.
    select
        study, run_id, layer, step, is_final, distinct_neurons, neurons, max_norm, distance_gap
    from layers
    where distinct_neurons is not null
),
budgets as (
    select study, run_id, step, decay_budget from history
),
ended as (
    select
        study, run_id, cell_id, seed, outcome, grad_ratio, merge_gain, test_loss, test_accuracy,
        trivial_loss, trivial_accuracy
    from runs
),
timed as (
    select
        probed.*,
        case when bool_and(decay_budget is not null) over run and max(decay_budget) over run > 0
            then decay_budget else step end as time
    from probed
    left join budgets using (study, run_id, step)
    window run as (partition by study, run_id)
),
shared as (
    select *, time > 0 and time <= max(time) over (partition by study, run_id) / 3 as is_earlier
    from timed
),
by_layer as (
    select
        study, run_id, layer,
        max(distinct_neurons) filter (where is_final) as last_count,
        arg_max(distinct_neurons, time) filter (where is_earlier) as earlier_count,
        max(distance_gap) filter (where is_final) as last_gap,
        arg_max_null(distance_gap, time) filter (where is_earlier) as earlier_gap,
        max(neurons) as neurons,
        max(max_norm) filter (where is_final) as norm
    from shared
    group by study, run_id, layer
),
counted as (
    select
        study, run_id,
        case when count(*) = count(earlier_count) then max(
            abs(last_count - earlier_count) / greatest(last_count, earlier_count, 1)
        ) end as count_change,
        case when count(last_gap) = count(last_gap + earlier_gap) then max(
            abs(last_gap - earlier_gap) / greatest(last_gap, earlier_gap)
        ) end as distance_change,
        case when count(*) = count(last_gap) then min(last_gap) end as distance,
        case when count(*) = count(neurons) then max(last_count / neurons) end as fullness,
        case when count(*) = count(norm) then min(norm) end as least_norm
    from by_layer
    group by study, run_id
)
select
    study, run_id, cell_id, seed, outcome, grad_ratio, merge_gain, count_change, distance,
    distance_change, fullness, least_norm, 1 - test_loss / trivial_loss as learned_loss,
    (test_accuracy - trivial_accuracy) / (1 - trivial_accuracy) as learned_accuracy
from ended
left join counted using (study, run_id);
