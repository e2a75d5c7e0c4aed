-- Write the next migration here; see it run with: agentflow db watch

--!include app_private/functions/registered_errors.sql
--!include app_private/functions/validation/is_email.sql
--!include app_public/functions/create_user.sql
--!include app_private/functions/tenants/create_tenant.sql
--!include app_public/functions/create_api_key.sql
--!include app_public/functions/revoke_api_key.sql
