/** What a node is told when what it made cannot be kept. */
import { keepArtifact } from '../../src/runtime/artifacts.ts';

const lease = { executionId: '0', attempt: 1, createdAt: '2026-01-01T00:00:00Z' };
const keep = (answer: () => Promise<string | null>): Promise<string> => keepArtifact({ saveArtifact: answer }, lease, 'paint', new Uint8Array([1]), 'image/png');

test('the id of what is kept', async () => {
  expect(await keep(() => Promise.resolve('a'))).toBe('a');
});

test('a lost lease, a full storage and a broken database are told apart', async () => {
  const full = Object.assign(new Error('The quota storage_bytes of this tenant is used up.'), { code: 'AF429' });
  await expect(keep(() => Promise.resolve(null))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(keep(() => Promise.reject(full))).rejects.toMatchObject({ code: 'QUOTA_EXCEEDED', transient: false, message: expect.stringContaining('storage_bytes') });
  await expect(keep(() => Promise.reject(new Error('gone')))).rejects.toThrow('gone');
});
