import { mkdtempSync, readFileSync, writeFileSync, existsSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { currentHolder, holdFolder } from '../../src/embedded/holder.ts';

describe('a data folder', () => {
  let folder: string;
  beforeEach(() => { folder = mkdtempSync(path.join(os.tmpdir(), 'agentflow-holder-')); });
  afterEach(() => rmSync(folder, { recursive: true }));
  const file = (): string => path.join(folder, 'holder.json');

  test('is held once, and the refusal names the holder', () => {
    const release = holdFolder(folder);
    expect(() => holdFolder(folder)).toThrow(expect.objectContaining({
      code: 'DATA_DIR_IN_USE',
      details: { folder, pid: process.pid, since: currentHolder(folder)!.since },
      message: expect.stringContaining(String(process.pid)),
    }));
    release();
    expect(existsSync(file())).toBe(false);
  });

  test('that cannot be one is refused with what the system says', () => {
    const place = path.join(folder, 'file');
    writeFileSync(place, '');
    expect(() => holdFolder(place)).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNUSABLE', message: expect.stringContaining('EEXIST'), details: { folder: place } }));
    expect(() => holdFolder(path.join(place, 'below'))).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNUSABLE', message: expect.stringContaining('ENOTDIR') }));
  });

  test('is made with the folders above it', () => {
    const deep = path.join(folder, 'a', 'b');
    holdFolder(deep);
    expect(currentHolder(deep)?.pid).toBe(process.pid);
  });

  test('where nothing can be made is refused, and not tried for ever', () => {
    expect(() => holdFolder('/proc/agentflow')).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNUSABLE' }));
  });

  test('of a dead process is taken over', () => {
    writeFileSync(file(), JSON.stringify({ pid: 2 ** 22 + 1, born: '1', since: '2020-01-01T00:00:00.000Z' }));
    holdFolder(folder);
    expect(currentHolder(folder)?.pid).toBe(process.pid);
  });

  test('of a process whose id came back as another one is taken over', () => {
    writeFileSync(file(), JSON.stringify({ pid: process.ppid, born: 'another moment', since: '2020-01-01T00:00:00.000Z' }));
    expect(currentHolder(folder)).toBeNull();
    holdFolder(folder);
    expect(currentHolder(folder)?.pid).toBe(process.pid);
  });

  test('with a torn holder file is taken over', () => {
    writeFileSync(file(), '{"pid": 12');
    holdFolder(folder);
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toMatchObject({ pid: process.pid });
  });

  test('is not given back by one who no longer has it', () => {
    const release = holdFolder(folder);
    const other = JSON.stringify({ pid: 1, born: 'x', since: 'y' });
    writeFileSync(file(), other);
    release();
    expect(readFileSync(file(), 'utf8')).toBe(other);
  });
});
