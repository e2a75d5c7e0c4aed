/** How many nodes of a kind this process runs at a time. Tenants that wait for the same kind take turns, however many each has waiting. */

interface Waiting {
  enter(slot: KindSlot): void;
}

interface Kind {
  limit: number;
  running: number;
  /** By tenant, in the order of their turns. */
  waiting: Map<string, Set<Waiting>>;
}

export class KindSlots {
  readonly #kinds: ReadonlyMap<string, Kind>;

  /** Kinds that are not named are not limited. */
  constructor(limits: Readonly<Record<string, number>>) {
    this.#kinds = new Map(Object.entries(limits).map(([kind, limit]) => [kind, { limit, running: 0, waiting: new Map() }]));
  }

  /** A slot at once; null when it has to be waited for. */
  take(kindName: string): KindSlot | null {
    const kind = this.#kinds.get(kindName);
    if (kind === undefined) return unlimited;
    return kind.running < kind.limit ? this.#slot(kind) : null;
  }

  /** Throws the signal's reason when that is aborted before. */
  wait(kindName: string, tenantId: string, signal: AbortSignal): Promise<KindSlot> {
    const { waiting } = this.#kinds.get(kindName)!;
    return new Promise((resolve, reject) => {
      const line = waiting.get(tenantId) ?? new Set<Waiting>();
      const left = (): void => {
        line.delete(entry);
        if (line.size === 0 && waiting.get(tenantId) === line) waiting.delete(tenantId);
        reject(signal.reason as Error);
      };
      const entry: Waiting = {
        enter: (slot) => {
          signal.removeEventListener('abort', left);
          resolve(slot);
        },
      };
      if (signal.aborted) return reject(signal.reason as Error);
      waiting.set(tenantId, line.add(entry));
      signal.addEventListener('abort', left, { once: true });
    });
  }

  #slot(kind: Kind): KindSlot {
    kind.running += 1;
    let isFree = false;
    return {
      free: () => {
        if (isFree) return;
        isFree = true;
        kind.running -= 1;
        this.#next(kind);
      },
    };
  }

  #next(kind: Kind): void {
    const first = kind.waiting.entries().next().value;
    if (first === undefined || kind.running >= kind.limit) return;
    const [tenantId, line] = first;
    const entry = line.values().next().value!;
    line.delete(entry);
    // To the end of the line of tenants, if it waits for more.
    kind.waiting.delete(tenantId);
    if (line.size > 0) kind.waiting.set(tenantId, line);
    entry.enter(this.#slot(kind));
  }
}

export interface KindSlot {
  free(): void;
}

const unlimited: KindSlot = { free: () => undefined };
