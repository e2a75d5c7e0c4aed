/** Headers of a request: as strict as fetch's own, which cost more than the rest of a short call. */

const isName = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const isRefusedValue = /[^\t\x20-\x7e\x80-\xff]/;
const outerSpace = /^[\t\n\r ]+|[\t\n\r ]+$/g;

export class RequestHeaders {
  /** By name, in lower case. */
  readonly #values: Map<string, string>;

  constructor(given: Iterable<readonly [name: string, value: string]> = []) {
    this.#values = new Map(given);
  }

  /** @throws TypeError when HTTP does not allow the name or the value. */
  set(name: string, value: string): void {
    const trimmed = value.replace(outerSpace, '');
    if (!isName.test(name) || isRefusedValue.test(trimmed)) throw new TypeError('no header');
    this.#values.set(name.toLowerCase(), trimmed);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The same without those of these names. */
  without(isDropped: (name: string) => boolean): RequestHeaders {
    return new RequestHeaders([...this.#values].filter(([name]) => !isDropped(name)));
  }

  /** Name and value in turns, over these defaults (names in lower case). */
  flat(defaults: Readonly<Record<string, string>>): string[] {
    const flat: string[] = [];
    for (const name of Object.keys(defaults)) if (!this.#values.has(name)) flat.push(name, defaults[name]!);
    for (const [name, value] of this.#values) flat.push(name, value);
    return flat;
  }
}
