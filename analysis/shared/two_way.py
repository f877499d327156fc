"""Two-way tables of counts: does what is learned follow the task, and not the learner's size?

The count is to grow with the task at every capacity, not to depend on the capacity once that is
twice the count, and the task is to explain the variance of ln count where the capacity does not.
"""

from symstudy.findings import All, Evidence, Explained, Flat, Monotone, Reported

__all__ = ["table_rules", "with_room"]

FLAT = 0.05
"""Largest |d ln count / d ln capacity| that is called flat."""


def with_room(query: str, count: str, task: str, capacity: str) -> str:
    """Return the rows of a query with a column `{count}_has_room`: capacity twice the count.

    The count that the capacity must be twice of is the mean over seeds, for each gamma and task, at
    the largest capacity. The largest capacity itself is never left out, so that a task whose count
    leaves no room has a part, without enough places.

    Args:
        query: SELECT of runs with the columns gamma, is_evidence, and those named.
        count: Column of what is counted.
        task: Column of the task's complexity.
        capacity: Column of the learner's size.
    """
    return f"""
        with counted as ({query}), largest as (
            select *, max({capacity}) filter (where is_evidence) over (partition by gamma) as most
            from counted
        )
        select * exclude (most), {capacity} >= least(most, 2 * avg({count}) filter (
                   where is_evidence and {capacity} = most
               ) over (partition by gamma, {task})) as {count}_has_room
        from largest
    """


def table_rules(
    table: Evidence, task: str, capacity: str, *, name: str, fine_name: str = ""
) -> All:
    """Return the rules of a two-way table; the first is how much the task explains.

    Args:
        table: Runs with the columns below, count, and what `with_room` adds.
        task: Column of the task's complexity.
        capacity: Column of the learner's size.
        name: What is counted.
        fine_name: What the column `fine` counts, whose flatness is reported beside; none if empty.
    """

    def flat(value: str, called: str) -> Flat:
        return Flat(
            table.where(f"{value}_has_room"),
            value,
            along=capacity,
            within=FLAT,
            by=(task,),
            name=called,
            is_upper_half=False,
            min_places=2,
        )

    return All(
        Explained(table, "count", along=task, beside=capacity, at_least=0.9, name=name),
        Explained(table, "count", along=capacity, beside=task, at_most=0.02, name=name),
        Monotone(table, "count", along=task, by=(capacity,), name=name),
        flat("count", name),
        *([Reported(flat("fine", fine_name))] if fine_name else []),
    )
