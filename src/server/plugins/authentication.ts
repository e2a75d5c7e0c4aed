/** `authenticate` and `logout`. After `authenticate` the rest of the same operation acts as who has signed in. */
import 'postgraphile';
import { access, context, type FieldArgs, list, object, type ObjectStep, sideEffect, type Step } from 'postgraphile/grafast';
import { EXPORTABLE } from 'postgraphile/graphile-build';
import { extendSchema, gql } from 'postgraphile/utils';
import type { Identity } from '../identity.ts';
import { claimsOf } from '../settings.ts';
import type { RequestScope } from '../scope.ts';
import type { SignIn } from '../sign-in.ts';

type AuthenticateArgs = readonly [SignIn, RequestScope, Record<string, string>, string, string];

async function authenticate([signIn, scope, settings, email, password]: AuthenticateArgs): Promise<{ jwt: string; userId: string }> {
  const { jwt, identity } = await signIn.authenticate(email, password, scope);
  scope.identity = identity;
  Object.assign(settings, claimsOf(identity));
  return { jwt, userId: identity.userId };
}

async function logout([signIn, scope]: readonly [SignIn, RequestScope]): Promise<boolean> {
  const identity: Identity = scope.identity;
  await signIn.logout(identity);
  return true;
}

export const AuthenticationPlugin = extendSchema((build) => {
  const users = build.pgResources.users;
  if (!users) throw new Error('There is no resource for the table users');
  return {
    typeDefs: gql`
      """Who signs in."""
      input AuthenticateInput {
        clientMutationId: String
        email: String!
        password: String!
      }
      """What a sign-in gives."""
      type AuthenticatePayload {
        clientMutationId: String
        """The bearer token: send it as \`Authorization: Bearer <jwt>\`. It is good for an hour, or until \`logout\`."""
        jwt: String!
        user: User
      }
      """Nothing has to be said to sign out."""
      input LogoutInput {
        clientMutationId: String
      }
      """What is left of a session that has ended."""
      type LogoutPayload {
        clientMutationId: String
        """True: the session has ended."""
        ok: Boolean!
      }
      extend type Mutation {
        """Signs in with e-mail and password."""
        authenticate(input: AuthenticateInput!): AuthenticatePayload
        """Ends the session of the token that came with the request."""
        logout(input: LogoutInput): LogoutPayload
      }
    `,
    objects: {
      Mutation: {
        plans: {
          authenticate: EXPORTABLE((access, authenticate, context, list, object, sideEffect) => (_$root: Step, args: FieldArgs) => {
            const $context = context();
            const $signedIn = sideEffect(list([
              $context.get('signIn'), $context.get('scope'), $context.get('pgSettings'), args.getRaw(['input', 'email']), args.getRaw(['input', 'password']),
            ]), authenticate as never);
            return object({
              clientMutationId: args.getRaw(['input', 'clientMutationId']), jwt: access($signedIn, 'jwt'), userId: access($signedIn, 'userId'),
            });
          }, [access, authenticate, context, list, object, sideEffect]) as never,
          logout: EXPORTABLE((context, list, logout, object, sideEffect) => (_$root: Step, args: FieldArgs) => {
            const $context = context();
            const $ok = sideEffect(list([$context.get('signIn'), $context.get('scope')]), logout as never);
            return object({ clientMutationId: args.getRaw(['input', 'clientMutationId']), ok: $ok });
          }, [context, list, logout, object, sideEffect]) as never,
        },
      },
      AuthenticatePayload: {
        plans: {
          user: EXPORTABLE((users) => ($payload: ObjectStep<{ userId: Step }>) => users.get({ id: $payload.get('userId') }), [users]) as never,
        },
      },
    },
  };
}, 'AuthenticationPlugin');
