/** What the server needs of the sources, handed in by who starts it: trying one out. The server itself opens no connection to the outside. */
import type { SourceToTest } from '../store/tenant-secrets.ts';

export interface SourceTools {
  /** Makes one small call; never rejects. `openSecret` opens what the tenant has stored. */
  test(source: Pick<SourceToTest, 'name' | 'kind' | 'config'> & { tenantSlug: string; openSecret(name: string): Promise<{ value: string; hosts: readonly string[] | null } | null> }): Promise<{
    ok: boolean;
    latencyMs: number;
    error: { code: string; message: string; remedy: string } | null;
  }>;
}
