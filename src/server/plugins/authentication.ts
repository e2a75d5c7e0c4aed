/**
 * Signing in and out: `authenticate`, `refreshSession`, `changePassword`, `useAccessLink`, `logout`, `logoutEverywhere`. After each of the first four the
 * rest of the same operation acts as who has signed in.
 */
import 'postgraphile';
import { access, context, type FieldArgs, list, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import { claimsOf } from '../settings.ts';
import type { RequestScope } from '../scope.ts';
import type { SignedIn, SignIn } from '../sign-in.ts';

type Input = Record<string, string | null | undefined>;
type Call = readonly [SignIn, RequestScope, Record<string, string>, Input | null | undefined];

interface Shown extends Pick<SignedIn, 'jwt' | 'refreshToken'> {
  expiresAt: string;
  userId: string;
}

/** Ways to sign in, by the names of their mutations. */
const ways = {
  authenticate: (signIn: SignIn, scope: RequestScope, input: Input) => signIn.authenticate(input.email!, input.password!, scope),
  refreshSession: (signIn: SignIn, scope: RequestScope, input: Input) => signIn.refresh(input.refreshToken!, scope),
  changePassword: (signIn: SignIn, scope: RequestScope, input: Input) => signIn.changePassword(input.currentPassword!, input.newPassword!, scope),
  useAccessLink: (signIn: SignIn, scope: RequestScope, input: Input) => signIn.useAccessLink(input.token!, input.name ?? null, input.password!, scope),
} as const;

function signInBy(way: keyof typeof ways) {
  return async ([signIn, scope, settings, input]: Call): Promise<Shown> => {
    const { jwt, refreshToken, expiresAt, identity } = await ways[way](signIn, scope, input!);
    scope.identity = identity;
    Object.assign(settings, claimsOf(identity));
    return { jwt, refreshToken, expiresAt: expiresAt.toISOString(), userId: identity.userId };
  };
}

async function logout([signIn, scope]: Call): Promise<{ ok: boolean }> {
  await signIn.logout(scope);
  return { ok: true };
}

async function logoutEverywhere([signIn, scope]: Call): Promise<{ ok: boolean; sessions: number }> {
  return { ok: true, sessions: await signIn.logoutEverywhere(scope) };
}

const payloadFields = /* GraphQL */ `
  clientMutationId: String
  """The bearer token: send it as \`Authorization: Bearer <jwt>\`. It is good for an hour, or until the session ends."""
  jwt: String!
  """Until when the jwt is good."""
  expiresAt: Datetime!
  """Gives the next jwt by refreshSession, within a week, once."""
  refreshToken: String!
  user: User
`;

function callOf(args: FieldArgs): Step {
  const $context = context();
  return list([$context.get('signIn'), $context.get('scope'), $context.get('pgSettings'), args.getRaw('input')]);
}

function payloadOf($result: Step, args: FieldArgs, fields: readonly string[]): Step {
  const entries = fields.map((field) => [field, access($result, field)] as const);
  return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), ...Object.fromEntries(entries) });
}

const signInFields = ['jwt', 'refreshToken', 'expiresAt', 'userId'];

/** The plan of a mutation that does `work` once and answers with these fields of what it returns. */
function planOf(work: (call: Call) => Promise<unknown>, fields: readonly string[]): never {
  return EXPORTABLE((callOf, fields, payloadOf, sideEffect, work) => (_$root: Step, args: FieldArgs) => payloadOf(sideEffect(callOf(args), work as never), args, fields),
    [callOf, fields, payloadOf, sideEffect, work]) as never;
}

export const AuthenticationPlugin = extendSchema((build) => {
  const users = build.pgResources.users;
  if (!users) throw new Error('There is no resource for the table users');
  const user = EXPORTABLE((users) => ($payload: ObjectStep<{ userId: Step }>) => users.get({ id: $payload.get('userId') }), [users]) as never;
  return {
    typeDefs: gql`
      """Who signs in."""
      input AuthenticateInput { clientMutationId: String, email: String!, password: String! }
      """What a sign-in gives."""
      type AuthenticatePayload { ${payloadFields} }
      """Which session goes on."""
      input RefreshSessionInput { clientMutationId: String, refreshToken: String! }
      """The next tokens of a session; the refresh token that was sent is used up."""
      type RefreshSessionPayload { ${payloadFields} }
      """The present password, and the one in its place."""
      input ChangePasswordInput { clientMutationId: String, currentPassword: String!, newPassword: String! }
      """A new session: all others have ended."""
      type ChangePasswordPayload { ${payloadFields} }
      """The link, and what its person chooses."""
      input UseAccessLinkInput {
        clientMutationId: String
        """What stands behind the # of the link."""
        token: String!
        """The new password: 10 characters or more, and none of the common ones."""
        password: String!
        """How an invited person is called; where it is not given, as the invitation says."""
        name: String
      }
      """A session of the person whom the link was for."""
      type UseAccessLinkPayload { ${payloadFields} }
      """Nothing has to be said to sign out."""
      input LogoutInput { clientMutationId: String }
      """What is left of a session that has ended."""
      type LogoutPayload {
        clientMutationId: String
        """True: the session has ended."""
        ok: Boolean!
      }
      """What is left of sessions that have ended."""
      type LogoutEverywherePayload {
        clientMutationId: String
        """True: all sessions have ended."""
        ok: Boolean!
        """How many there were."""
        sessions: Int!
      }
      extend type Mutation {
        """Signs in with e-mail and password."""
        authenticate(input: AuthenticateInput!): AuthenticatePayload
        """Goes on with a session after its jwt has expired. A refresh token that is sent a second time ends the session: it is in two hands."""
        refreshSession(input: RefreshSessionInput!): RefreshSessionPayload
        """Gives oneself a new password. All sessions end, and a new one begins."""
        changePassword(input: ChangePasswordInput!): ChangePasswordPayload
        """Follows a one-time link: an invited person becomes a user, a user gets a new password. Signs in."""
        useAccessLink(input: UseAccessLinkInput!): UseAccessLinkPayload
        """Ends the session of the token that came with the request."""
        logout(input: LogoutInput): LogoutPayload
        """Ends all sessions of who sent the request, this one included."""
        logoutEverywhere(input: LogoutInput): LogoutEverywherePayload
      }
    `,
    objects: {
      Mutation: {
        plans: {
          ...Object.fromEntries(Object.keys(ways).map((way) => [way, planOf(signInBy(way as keyof typeof ways), signInFields)])),
          logout: planOf(logout, ['ok']),
          logoutEverywhere: planOf(logoutEverywhere, ['ok', 'sessions']),
        },
      },
      AuthenticatePayload: { plans: { user } },
      RefreshSessionPayload: { plans: { user } },
      ChangePasswordPayload: { plans: { user } },
      UseAccessLinkPayload: { plans: { user } },
    },
  };
}, 'AuthenticationPlugin');
