-- The tenant of the sample rows, and a second one beside it, so that isolation can be seen.
insert into app_public.tenants (id, slug, name)
values
  ('123e4567-e89b-12d3-a456-426614174000', 'example', 'Example Inc.'),
  ('223e4567-e89b-12d3-a456-426614174000', 'globex', 'Globex Corporation')
on conflict do nothing;
