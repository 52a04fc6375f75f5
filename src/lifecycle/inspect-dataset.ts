/** What speaks against a dataset: its collection and indexes, those of its children and look-ups, and the places of its attachments. */
import type { DatasetReport, DatasetShape } from '../source/port.ts';
import type { Context } from './context.ts';

export async function inspectDataset(
  { source, attachments }: Pick<Context, 'source' | 'attachments'>,
  dataset: DatasetShape,
): Promise<DatasetReport> {
  const report = await source.inspect(dataset);
  const findings = [...report.findings];
  for (const { collection, key } of dataset.lookUps ?? [])
    findings.push(...(await source.inspectLookUp(collection, key)));
  if ((dataset.attachments ?? []).length > 0 && attachments !== undefined)
    findings.push(...(await attachments.inspect(dataset)));
  return { ...report, findings };
}
