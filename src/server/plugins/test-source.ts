/** `testSource`: does a saved source work, and if not, what is wrong with it? */
import 'postgraphile';
import { context, type FieldArgs, list, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { AgentFlowError } from '../../errors.ts';
import type { SecretBox } from '../../secrets.ts';
import { circuitAfterTest, sourceToTest, type AskingClient } from '../../store/tenant-secrets.ts';
import type { SourceTools } from '../source-tools.ts';

type WithClient = <T>(settings: Record<string, string>, use: (client: AskingClient) => Promise<T>) => Promise<T>;
type Args = readonly [WithClient, Record<string, string>, SecretBox, SourceTools | null, { id: string; clientMutationId?: string | null }];

async function testSource([withClient, settings, box, tools, { id, clientMutationId = null }]: Args): Promise<object> {
  // The transaction ends before the call begins: it may take its time.
  const source = await withClient(settings, (client) => sourceToTest(client, id));
  if (tools === null) throw new AgentFlowError('NOT_SUPPORTED', 'This server cannot try sources.');
  const { ok, latencyMs, error } = await tools.test({
    name: source.name, kind: source.kind, config: source.config, tenantSlug: source.tenant_slug,
    openSecret(name) {
      const found = Object.hasOwn(source.secrets, name) ? source.secrets[name]! : null;
      const value = found === null ? null : box.open(found.sealed, { tenantId: source.tenant_id, name });
      return Promise.resolve(found === null || value === null ? null : { value, hosts: found.hosts });
    },
  });
  const circuit = await withClient(settings, (client) => circuitAfterTest(client, id, ok));
  return { clientMutationId, ok, latencyMs, circuit, error: error?.message ?? null, code: error?.code ?? null, remedy: error?.remedy ?? null };
}

export const TestSourcePlugin = extendSchema(() => ({
  typeDefs: gql`
    """Which source to try."""
    input TestSourceInput {
      clientMutationId: String
      id: UUID!
    }
    """How a source answered."""
    type TestSourcePayload {
      clientMutationId: String
      """It did what it is for."""
      ok: Boolean!
      """Milliseconds from the call to its end."""
      latencyMs: Int!
      """What went wrong."""
      error: String
      """The stable code of what went wrong."""
      code: String
      """What to do about it."""
      remedy: String
      """Whether executions call it at present; a test that goes well closes its circuit."""
      circuit: CircuitState
    }
    extend type Mutation {
      """Makes one small call of a saved source: a short question, one picture, \`select 1\`, or a GET of its base address. A model's provider may charge for it."""
      testSource(input: TestSourceInput!): TestSourcePayload
    }
  `,
  objects: {
    Mutation: {
      plans: {
        testSource: EXPORTABLE((context, list, sideEffect, testSource) => (_$root: Step, args: FieldArgs) => {
          const $context = context();
          return sideEffect(list([
            $context.get('withPgClient' as never), $context.get('pgSettings'), $context.get('secretBox'), $context.get('sourceTools'), args.getRaw('input'),
          ]), testSource as never);
        }, [context, list, sideEffect, testSource]) as never,
      },
    },
  },
}), 'TestSourcePlugin');
