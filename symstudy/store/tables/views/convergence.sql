-- convergence: one row a run that has ended, with what says whether its counts of neurons and its
-- losses are evidence (docs/design/evidence.md). The time of a probe is its decay budget, or its step
-- where there is none.
-- count_change: largest relative change of a hidden layer's distinct neurons since the last detailed
--   probe at no more than a third of the time; null without such a probe.
-- fullness: largest share of the neurons of a hidden layer that are distinct; 1 is a ceiling.
-- least_norm: norm of the largest neuron of the hidden layer where that is smallest.
-- learned_loss: 1 - test loss / loss of the best constant answer. learned_accuracy: the same for
--   errors of classification; null in regression. grad_ratio, merge_gain: those of runs.
create view convergence as
with timed as (
    select
        layers.study, layers.run_id, layers.layer, layers.is_final,
        layers.distinct_neurons, layers.neurons, layers.max_norm,
        case when bool_and(history.decay_budget is not null) over run
                  and max(history.decay_budget) over run > 0
            then history.decay_budget else layers.step end as time
    from layers
    left join history
        on history.study = layers.study and history.run_id = layers.run_id
            and history.step = layers.step
    where layers.distinct_neurons is not null
    window run as (partition by layers.study, layers.run_id)
),
shared as (
    select *, max(time) over (partition by study, run_id) as last_time from timed
),
by_layer as (
    select
        study, run_id, layer,
        max(distinct_neurons) filter (where is_final) as last_count,
        arg_max(distinct_neurons, time) filter (where time > 0 and time <= last_time / 3)
            as earlier_count,
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
        case when count(*) = count(neurons) then max(last_count / neurons) end as fullness,
        case when count(*) = count(norm) then min(norm) end as least_norm
    from by_layer
    group by study, run_id
)
select
    runs.study, runs.run_id, runs.cell_id, runs.seed, runs.outcome, runs.grad_ratio, runs.merge_gain,
    counted.count_change, counted.fullness, counted.least_norm,
    1 - runs.test_loss / runs.trivial_loss as learned_loss,
    (runs.test_accuracy - runs.trivial_accuracy) / (1 - runs.trivial_accuracy) as learned_accuracy
from runs
left join counted on counted.study = runs.study and counted.run_id = runs.run_id;
