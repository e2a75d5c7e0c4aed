/** The tar format (ustar), as much of it as an archive of plain files needs. */

const block = 512;

/** Header, content and padding of one file. Throws RangeError for a name of more than 100 bytes. */
export function tarEntry(name: string, content: Buffer, modified: Date): Buffer {
  const header = Buffer.alloc(block);
  if (Buffer.byteLength(name) > 100) throw new RangeError(`The name ${name} is too long for an archive.`);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  const fields: [offset: number, text: string][] = [
    [0, name], [100, octal(0o600, 8)], [108, octal(0, 8)], [116, octal(0, 8)], [124, octal(content.length, 12)], [136, octal(Math.floor(modified.getTime() / 1000), 12)],
    [148, '        '], [156, '0'], [257, 'ustar\u000000'],
  ];
  for (const [offset, text] of fields) header.write(text, offset, 'utf8');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'utf8');
  return Buffer.concat([header, content, Buffer.alloc((block - (content.length % block)) % block)]);
}

export const tarEnd = Buffer.alloc(2 * block);
