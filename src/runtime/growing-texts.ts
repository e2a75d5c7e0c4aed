/** Answers that grow are shown twice a second at most, together with whatever else is written. */
const showEveryMs = 500;

export class GrowingTexts {
  readonly #show: (nodeId: string) => void;
  readonly #due = new Set<string>();

  constructor(show: (nodeId: string) => void) {
    this.#show = show;
  }

  tell(nodeId: string): void {
    if (this.#due.has(nodeId)) return;
    this.#due.add(nodeId);
    setTimeout(() => {
      this.#due.delete(nodeId);
      this.#show(nodeId);
    }, showEveryMs).unref();
  }
}
