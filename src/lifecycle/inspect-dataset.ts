/** What speaks against a dataset: its collection and indexes, those of its children, and the places of its attachments. */
import type { DatasetReport, DatasetShape } from '../source/port.ts';
import type { Context } from './context.ts';

export async function inspectDataset(
  { source, attachments }: Pick<Context, 'source' | 'attachments'>,
  dataset: DatasetShape,
): Promise<DatasetReport> {
  const report = await source.inspect(dataset);
  if ((dataset.attachments ?? []).length === 0 || attachments === undefined) return report;
  return { ...report, findings: [...report.findings, ...(await attachments.inspect(dataset))] };
}
