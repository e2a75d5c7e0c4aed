/** A worker process that has what kills it: the extension that this folder's package.json names. */
process.chdir(import.meta.dirname);
await import('../../support/worker-process.ts');
