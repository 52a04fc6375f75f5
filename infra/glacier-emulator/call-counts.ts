/** How often each operation was answered, and with which status; 0 stands for a reply that did not go out whole. */
export class CallCounts {
  readonly #counts = new Map<string, Map<number, number>>();

  add(operation: string, status: number): void {
    const byStatus = this.#counts.get(operation) ?? new Map<number, number>();
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    this.#counts.set(operation, byStatus);
  }

  /** `{ UploadArchive: { 201: 3, 400: 1 } }`. They live in memory only. */
  list(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      [...this.#counts].map(([operation, byStatus]) => [operation, Object.fromEntries(byStatus)]),
    );
  }
}
