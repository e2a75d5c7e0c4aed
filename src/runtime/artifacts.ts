/** What nodes keep beside their execution, and what is said when it cannot be kept. */
import { AgentFlowError, NodeError } from '../errors.ts';
import type { LeaseRef } from '../store/rows.ts';
import type { ExecutionWorld } from './world.ts';

/** SQLSTATE of QUOTA_EXCEEDED. */
const quotaExceeded = 'AF429';

/** The id. Throws UNAVAILABLE when the lease is lost, or QUOTA_EXCEEDED when the tenant's storage is full. */
export async function keepArtifact(artifacts: ExecutionWorld['artifacts'], lease: LeaseRef, nodeId: string, bytes: Uint8Array, mediaType: string): Promise<string> {
  const id = await artifacts.saveArtifact(lease, nodeId, bytes, mediaType).catch((error: unknown) => {
    if ((error as { code?: unknown }).code !== quotaExceeded) throw error;
    throw new NodeError('QUOTA_EXCEEDED', `cannot keep what it made. ${(error as Error).message}`, { cause: error, remedy: 'Delete what is not needed any more, or ask who runs the platform for more.' });
  });
  if (id === null) throw new AgentFlowError('UNAVAILABLE', 'The execution was cancelled or taken over.');
  return id;
}
