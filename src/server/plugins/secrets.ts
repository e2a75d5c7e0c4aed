/** `createSecret`: the value is sealed here, so that neither the database nor its logs ever hold it. Listing and deleting are functions of the schema. */
import 'postgraphile';
import { context, type FieldArgs, list, object, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { AgentFlowError } from '../../errors.ts';
import type { SecretBox } from '../../secrets.ts';
import { demandRight } from '../../store/visible-rows.ts';
import { saveSecret, type AskingClient, type SecretRow } from '../../store/tenant-secrets.ts';

interface Input {
  name: string;
  value: string;
  hosts?: string[] | null;
}

type WithClient = <T>(settings: Record<string, string>, use: (client: AskingClient) => Promise<T>) => Promise<T>;
type Args = readonly [WithClient, Record<string, string>, SecretBox, string | null, Input];

const maxValueBytes = 16_384;

async function createSecret([withClient, settings, box, tenantId, { name, value, hosts = null }]: Args): Promise<object> {
  if (tenantId === null) throw new AgentFlowError('UNAUTHENTICATED');
  if (value === '') throw new AgentFlowError('INVALID_VALUE', 'A secret is not empty.', { details: { field: 'value' } });
  if (Buffer.byteLength(value) > maxValueBytes) throw new AgentFlowError('TOO_LARGE', `A secret has at most ${maxValueBytes} bytes.`, { details: { field: 'value' } });
  const saved = await withClient(settings, async (client) => {
    await demandRight(client, 'sources:write');
    return saveSecret(client, { name, hosts, sealed: box.seal(value, { tenantId, name }) });
  });
  return shown(saved);
}

function shown({ name, hosts, created_at, updated_at }: SecretRow): object {
  return { name, hosts, createdAt: created_at, updatedAt: updated_at };
}

export const SecretsPlugin = extendSchema(() => ({
  typeDefs: gql`
    """A secret to be stored."""
    input CreateSecretInput {
      clientMutationId: String
      """By which sources name it: \`{"secret": "name"}\`. A second secret of the same name takes the place of the first."""
      name: String!
      """Never shown again."""
      value: String!
      """The hosts that it may be sent to, like \`api.example.com\` or \`*.example.com\`. Left out: wherever a saved source says."""
      hosts: [String!]
    }
    """A stored secret, without its value."""
    type StoredSecret {
      name: String!
      hosts: [String!]
      createdAt: Datetime!
      updatedAt: Datetime!
    }
    """What was stored."""
    type CreateSecretPayload {
      clientMutationId: String
      secret: StoredSecret!
    }
    extend type Mutation {
      """Stores a secret for the tenant's sources, encrypted; it can be replaced and deleted, and never be read again."""
      createSecret(input: CreateSecretInput!): CreateSecretPayload
    }
  `,
  objects: {
    Mutation: {
      plans: {
        createSecret: EXPORTABLE((context, createSecret, list, object, sideEffect) => (_$root: Step, args: FieldArgs) => {
          const $context = context();
          const $saved = sideEffect(list([
            $context.get('withPgClient' as never), $context.get('pgSettings'), $context.get('secretBox'), $context.get('tenantId'), args.getRaw('input'),
          ]), createSecret as never);
          return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), secret: $saved });
        }, [context, createSecret, list, object, sideEffect]) as never,
      },
    },
  },
}), 'SecretsPlugin');
