-- Takes everything back: an empty database, as agentflow db prepare leaves it. All data is lost.
drop schema app_public, app_private cascade;

alter default privileges grant execute on functions to public;
alter default privileges grant usage on types to public;
