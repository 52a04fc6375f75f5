/** What a restore did, or would do, as a person reads it. */
import type { RestoreCounts } from '../lifecycle/restore.ts';
import type { Restored } from './restore.ts';
import { count, counted } from './words.ts';

export function reportLines(report: Restored, isPreview: boolean): readonly string[] {
  const { archive, namespace, file, children, attachments, addenda } = report;
  const done = isPreview ? 'would be' : 'were';
  const records = counted(report.records, 'record');
  return [
    `✓ Archive ${archive} verified: ${records}, signed by ${report.signedBy}.`,
    file === null
      ? `✓ ${counted(report.inserted, 'record')} ${done} inserted into ${namespace}${replacedText(report)}; ${thereText(report)}.`
      : `✓ ${counted(report.inserted, 'record')} in ${file}`,
    ...unitLine('children', children, isPreview),
    ...(isPreview ? [] : unitLine('attachments', attachments, false)),
    ...(isPreview && attachments.records > 0
      ? [`  ${counted(attachments.records, 'attachment')} would be put back where none is there.`]
      : []),
    ...(report.void > 0 ? [`  ${counted(report.void, 'copy', 'copies')} void, left out.`] : []),
    ...(addenda.length > 0 ? [`  Children that came later are in ${addenda.join(', ')}: restore them too.`] : []),
  ];
}

/** What hung on the records. */
function unitLine(what: string, counts: RestoreCounts, isPreview: boolean): string[] {
  if (counts.records === 0) return [];
  const { inserted, records, existing, void: voids } = counts;
  const done = isPreview ? 'would be restored' : 'restored';
  return [
    `✓ ${count(inserted)} of ${count(records)} ${what} ${done}${replacedText(counts)}; ${count(existing)} were there, ${count(voids)} void.`,
  ];
}

function replacedText({ replaced }: RestoreCounts): string {
  return replaced === 0 ? '' : `, ${count(replaced)} replaced`;
}

function thereText({ existing, same, newer, changed, held }: RestoreCounts): string {
  const parts = [
    ...(same > 0 ? [`${count(same)} the same`] : []),
    ...(newer > 0 ? [`${count(newer)} newer`] : []),
    ...(changed > 0 ? [`${count(changed)} changed`] : []),
    ...(held > 0 ? [`${count(held)} held`] : []),
  ];
  return `${count(existing)} were there and stay as they are${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`;
}
