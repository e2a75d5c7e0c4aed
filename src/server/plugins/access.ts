/**
 * What an admin makes that is shown once: invitations (`createUser`), password resets, API keys. Tokens and keys are made here, and the database gets
 * their hashes; who may is settled there.
 */
import 'postgraphile';
import type { PgExecutorContext } from 'postgraphile/@dataplan/pg';
import { access, context, type FieldArgs, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { createApiKey, createLinkToken, hashApiKey, linkPath } from '../../keys.ts';
import { createPasswordReset, inviteUser, type NewApiKey, rotateApiKey, storeApiKey, type StoredKey } from '../../store/access.ts';
import { isDatabaseError } from '../database-errors.ts';
import type { ReadingClient } from '../../store/workflow-checks.ts';

interface Call<Input> {
  caller: PgExecutorContext<Record<string, string>>;
  secretKey: string;
  input: Input;
}

/** What is answered: the id of the row, and what is shown this once. */
type Made = { id: string } & Record<string, string>;

async function makeLink<Input>({ caller, input }: Call<Input>, store: (client: ReadingClient, input: Input, tokenHash: string) => Promise<string>): Promise<Made> {
  const { token, tokenHash } = createLinkToken();
  const id = await caller.withPgClient(caller.pgSettings, (client) => store(client as ReadingClient, input, tokenHash));
  return { id, token, link: linkPath(token) };
}

async function makeKey<Input>({ caller, secretKey, input }: Call<Input>, mode: 'live' | 'test', store: (client: ReadingClient, input: Input, stored: StoredKey) => Promise<string>): Promise<Made> {
  const { key, prefix } = createApiKey(mode);
  const id = await caller.withPgClient(caller.pgSettings, (client) => store(client as ReadingClient, input, { hash: hashApiKey(key, secretKey), prefix }));
  return { id, key };
}

/** As GraphQL gives it: what was left out is not there. */
interface UserInput {
  email: string;
  name?: string | null;
  role?: string | null;
}

interface ApiKeyInput extends Omit<NewApiKey, 'userId' | 'expiresAt'> {
  userId?: string | null;
  expiresAt?: string | null;
  mode?: 'LIVE' | 'TEST' | null;
}

interface RotateInput {
  id: string;
  overlapSeconds?: number | null;
  mode?: null;
}

const defaultOverlapSeconds = 24 * 60 * 60;

/** The database names its own argument where it refuses one; what the caller gave is called otherwise here. */
async function named(made: Promise<Made>, names: Readonly<Record<string, string>>): Promise<Made> {
  return await made.catch((error: unknown) => {
    if (isDatabaseError(error) && error.column !== undefined) error.column = names[error.column] ?? error.column;
    throw error;
  });
}

const work = {
  createUser: (call: Call<UserInput>) =>
    makeLink(call, (client, { email, name = null, role = null }, tokenHash) => inviteUser(client, { email, name, role: role?.toLowerCase() ?? null }, tokenHash)),
  createPasswordReset: (call: Call<{ userId: string }>) =>
    named(makeLink(call, (client, { userId }, tokenHash) => createPasswordReset(client, userId, tokenHash)), { id: 'userId' }),
  createApiKey: (call: Call<ApiKeyInput>) =>
    named(makeKey(call, call.input.mode === 'TEST' ? 'test' : 'live', (client, { name, permissions, expiresAt = null, userId = null }, stored) =>
      storeApiKey(client, { name, permissions, expiresAt, userId }, stored)), { id: 'userId' }),
  rotateApiKey: (call: Call<RotateInput>) =>
    named(makeKey(call, 'live', (client, { id, overlapSeconds }, stored) => rotateApiKey(client, id, overlapSeconds ?? defaultOverlapSeconds, stored)), { overlap: 'overlapSeconds' }),
};

export const AccessPlugin = extendSchema((build) => {
  const { access_links: links, api_keys: keys } = build.pgResources;
  if (!links || !keys) throw new Error('There are no resources for the tables access_links and api_keys');
  const { executor } = links;
  const planOf = (name: keyof typeof work, shown: readonly string[]): never => {
    const run = work[name];
    return EXPORTABLE((access, context, executor, object, run, shown, sideEffect) => (_$root: Step, args: FieldArgs) => {
      const $made = sideEffect(object({ caller: executor.context(), secretKey: context().get('secretKey'), input: args.getRaw('input') }), run as never);
      const entries = ['id', ...shown].map((field) => [field, access($made, field)] as const);
      return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), ...Object.fromEntries(entries) });
    }, [access, context, executor, object, run, shown, sideEffect]) as never;
  };
  const rowOf = (resource: typeof links): never =>
    EXPORTABLE((resource) => ($payload: ObjectStep<{ id: Step }>) => resource.get({ id: $payload.get('id') }), [resource]) as never;
  return {
    typeDefs: gql`
      """What a key begins with."""
      enum ApiKeyMode {
        """\`sk_live_…\`"""
        LIVE
        """\`sk_test_…\`: the same rights under another name, so that keys of trials are told apart wherever they turn up."""
        TEST
      }
      """Whom to invite."""
      input CreateUserInput {
        clientMutationId: String
        email: String!
        name: String
        """VIEWER where it is not given."""
        role: UserRole
      }
      """An invitation: who follows its link becomes a user. The answer is the same whether the address has an account somewhere or not."""
      type CreateUserPayload {
        clientMutationId: String
        accessLink: AccessLink
        """Shown this once: give it to the person. Good for a week."""
        token: String!
        """The same as a path on the address of this server."""
        link: String!
      }
      """Whose password was forgotten."""
      input CreatePasswordResetInput { clientMutationId: String, userId: UUID! }
      """A one-time link for a new password."""
      type CreatePasswordResetPayload {
        clientMutationId: String
        accessLink: AccessLink
        """Shown this once: give it to the person. Good for a day."""
        token: String!
        """The same as a path on the address of this server."""
        link: String!
      }
      """What the key is for, and what it may do."""
      input CreateApiKeyInput {
        clientMutationId: String
        name: String!
        """What the key may do, by area: {"workflows": ["read", "write", "execute"], "flows": […], "executions": […], "sources": […]}. Nothing where it is not given."""
        permissions: JSON
        """Never, where it is not given."""
        expiresAt: Datetime
        """The user for whom the key acts: yourself, where it is not given."""
        userId: UUID
        mode: ApiKeyMode = LIVE
      }
      """A new API key."""
      type CreateApiKeyPayload {
        clientMutationId: String
        apiKey: ApiKey
        """The key itself. It is shown this once, and not kept."""
        key: String!
      }
      """Which key is to be replaced."""
      input RotateApiKeyInput {
        clientMutationId: String
        id: UUID!
        """How long the old key works on: a day where it is not given, at most 30 days; 0 revokes it at once."""
        overlapSeconds: Int
      }
      """An API key in the place of another."""
      type RotateApiKeyPayload {
        clientMutationId: String
        """The new key, with the name, user, permissions and end of the old one."""
        apiKey: ApiKey
        """The key itself. It is shown this once, and not kept."""
        key: String!
      }
      extend type Mutation {
        """Invites somebody into your tenant."""
        createUser(input: CreateUserInput!): CreateUserPayload
        """A one-time link for a user who has forgotten the password. Sessions end when it is used."""
        createPasswordReset(input: CreatePasswordResetInput!): CreatePasswordResetPayload
        """Makes an API key."""
        createApiKey(input: CreateApiKeyInput!): CreateApiKeyPayload
        """Makes a new key that takes the place of another, which works on for a while."""
        rotateApiKey(input: RotateApiKeyInput!): RotateApiKeyPayload
      }
    `,
    objects: {
      Mutation: {
        plans: {
          createUser: planOf('createUser', ['token', 'link']),
          createPasswordReset: planOf('createPasswordReset', ['token', 'link']),
          createApiKey: planOf('createApiKey', ['key']),
          rotateApiKey: planOf('rotateApiKey', ['key']),
        },
      },
      CreateUserPayload: { plans: { accessLink: rowOf(links) } },
      CreatePasswordResetPayload: { plans: { accessLink: rowOf(links) } },
      CreateApiKeyPayload: { plans: { apiKey: rowOf(keys) } },
      RotateApiKeyPayload: { plans: { apiKey: rowOf(keys) } },
    },
  };
}, 'AccessPlugin');
