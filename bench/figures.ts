/** Medians and ratios. A figure is only ever compared with another one of the same run. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Ratio of the medians, with the least and greatest ratio of a round. */
export function ratio(a: readonly number[], b: readonly number[]): string {
  const rounds = a.map((value, at) => value / (b[at] ?? Number.NaN));
  return `${(median(a) / median(b)).toFixed(2)} (rounds ${Math.min(...rounds).toFixed(2)}-${Math.max(...rounds).toFixed(2)})`;
}

export async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}
