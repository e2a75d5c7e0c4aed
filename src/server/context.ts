/** What a GraphQL operation finds in its context, beside what PostGraphile puts there. */
import 'postgraphile';
import type { ExecutionEvents } from './events.ts';
import { tenantOf } from './identity.ts';
import { currentScope, type RequestScope } from './scope.ts';
import { type PgSettings, settingsOf } from './settings.ts';
import type { SecretBox } from '../secrets.ts';
import type { SignIn } from './sign-in.ts';
import type { SourceTools } from './source-tools.ts';
import type { LoadWorkflowTools } from './workflow-tools.ts';

declare global {
  namespace Grafast {
    interface Context {
      scope: RequestScope;
      /** Of the caller; null for visitors. */
      tenantId: string | null;
      signIn: SignIn;
      /** AGENTFLOW_SECRET_KEY. */
      secretKey: string;
      executionEvents: ExecutionEvents;
      workflowTools: LoadWorkflowTools;
      /** Seals what tenants store. */
      secretBox: SecretBox;
      /** Null where sources cannot be tried. */
      sourceTools: SourceTools | null;
    }
  }
}

export interface Services {
  signIn: SignIn;
  secretKey: string;
  executionEvents: ExecutionEvents;
  workflowTools: LoadWorkflowTools;
  secretBox: SecretBox;
  sourceTools: SourceTools | null;
  statementTimeoutMs: number;
}

export function contextOf(services: Services): Partial<Grafast.Context> & { pgSettings: PgSettings } {
  const scope = currentScope();
  if (!scope) throw new Error('A GraphQL operation runs outside of a request scope');
  const { statementTimeoutMs, ...parts } = services;
  return { ...parts, scope, tenantId: tenantOf(scope.identity), pgSettings: settingsOf(scope, statementTimeoutMs) };
}
