/** Who asks: as which database role, and how the settings of the transaction name tenant, user, role and key. */
import { rolesOfUsers, type PlantedTenant } from '../sql/support/plant.ts';
import type { Garden } from './plant.ts';

export type Claims = Record<string, string>;

export const apiRoles = ['agentflow_user', 'agentflow_visitor', 'agentflow_operator', 'agentflow_worker'] as const;

/** Each database role, with its own tenant, without one, and with what is none. */
export function askers({ own, other }: Garden): { who: string; role: string; claims: Claims; isTenant: boolean }[] {
  const admin = { tenant_id: own.id, user_id: own.users.admin, role: 'admin' };
  const claimed = [
    { kind: 'own tenant', claims: admin, isTenant: true },
    { kind: 'own tenant by another\'s user', claims: { ...admin, user_id: other.users.admin }, isTenant: true },
    { kind: 'no tenant', claims: { user_id: own.users.admin, role: 'admin' }, isTenant: false },
    { kind: 'malformed tenant', claims: { ...admin, tenant_id: `${own.id}' or true --` }, isTenant: false },
  ];
  return apiRoles.flatMap((role) => claimed.map(({ kind, claims, isTenant }) => ({ who: `${role}, ${kind}`, role, claims, isTenant: isTenant && role === 'agentflow_user' })));
}

/** Each role of a tenant's people, and an admin's API key with each permission. */
export function everybodyOf(own: PlantedTenant): [who: string, claims: Claims][] {
  const admin = { tenant_id: own.id, user_id: own.users.admin, role: 'admin' };
  const key = (permissions: unknown): Claims => ({ ...admin, api_key_id: own.apiKeyId, permissions: JSON.stringify(permissions) });
  return [
    ...rolesOfUsers.map((role): [string, Claims] => [role, { tenant_id: own.id, user_id: own.users[role], role }]),
    ['a role that is none', { ...admin, role: 'root' }],
    ['key without permissions', key(null)],
    ...['workflows', 'flows', 'executions', 'sources'].flatMap((area) => [['read'], ['write'], ['execute'], ['write', 'execute']].map((verbs): [string, Claims] => [
      `key with ${area} ${verbs.join(' and ')}`, key({ [area]: verbs })])),
  ];
}
