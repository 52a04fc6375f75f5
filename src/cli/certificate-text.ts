/** A certificate as a records manager reads it. What is said here comes from the signed text alone. */
import { readBody } from '../certificate/body.ts';
import { sheetOf } from '../certificate/sheet.ts';

/** Lines for a terminal; of a text that cannot be read, the text itself. */
export function certificateText(signed: { readonly body: string; readonly keyId: string }): readonly string[] {
  const body = readBody(signed.body);
  if (body === null) return [signed.body];
  const { title, number, statement, warning, sections } = sheetOf(body);
  const width = Math.max(...sections.flatMap(({ lines }) => lines.map(({ label }) => label.length)));
  return [
    `${title} ${number}`,
    ...(warning === null ? [] : ['', `Not for evidence. ${warning}`]),
    '',
    statement,
    ...sections.flatMap(({ title: heading, lines }) => [
      '',
      heading,
      ...lines.map(({ label, text }) => `  ${label.padEnd(width)}  ${text}`),
    ]),
    '',
    `Signed with Ed25519 by key ${signed.keyId}.`,
  ];
}
