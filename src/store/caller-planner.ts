/**
 * How PostgreSQL plans what the API asks, for each of its connections. Compiling a statement's expressions costs more than these statements
 * take, and so does planning each anew: policies hide the tenant from the planner, so what it can know of the values makes no better plan.
 * A page that an index leads to is mostly in memory and otherwise on a disk without a head: with PostgreSQL's own price of it (four times that
 * of the next one) the last five rows of a workflow cost as much as sorting all rows of its tenant, and often enough that is what was done.
 */
export const callerPlanner = 'set jit = off; set plan_cache_mode = force_generic_plan; set random_page_cost = 1.1';
