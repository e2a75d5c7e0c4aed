/** `GET /artifacts/:id`: bytes that a node made, for those who may read its execution. */
import type { RequestHandler } from 'express';
import type { Pool } from 'pg';
import { AgentFlowError } from '../errors.ts';
import { makeWithCallerClient } from '../store/caller-transactions.ts';
import { readArtifact, type AskingClient } from '../store/tenant-secrets.ts';
import { currentScope } from './scope.ts';
import { settingsOf } from './settings.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Served as what it was seen to be, never as anything that a browser would run. */
export function artifactHandler(pool: Pool, statementTimeoutMs: number): RequestHandler {
  const withCallerClient = makeWithCallerClient(pool);
  return async (request, response) => {
    const scope = currentScope()!;
    if (scope.identity.kind === 'visitor') throw new AgentFlowError('UNAUTHENTICATED');
    const id = String(request.params['id']);
    const found = uuid.test(id) ? await withCallerClient(settingsOf(scope, statementTimeoutMs), (client) => readArtifact(client as unknown as AskingClient, id)) : null;
    if (found === null) throw new AgentFlowError('NOT_FOUND', 'There is no such artifact, or it is not yours to see.');
    response.set({
      'content-type': found.mediaType,
      'content-disposition': `inline; filename="${id}.${found.mediaType.split('/').at(-1)}"`,
      'cache-control': 'private, max-age=31536000, immutable',
      'content-security-policy': "default-src 'none'; sandbox",
    });
    response.send(found.bytes);
  };
}
