/** How moraine.yaml names a key of KMS. */
import { z } from 'zod';
import { MoraineError } from '../errors.ts';
import type { OwnerId } from '../ids.ts';

const KEY_ARN = /^arn:aws(-[a-z]+)*:kms:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:key\/[A-Za-z0-9-]{1,64}$/;

/** `kms:` of an owner, or `keys.kms`, in moraine.yaml. */
export const kmsConfigSchema = z.strictObject({
  key: z
    .string()
    .regex(KEY_ARN, 'the ARN of a KMS key (arn:aws:kms:…:key/…): policies cannot name an alias')
    .meta({ description: 'A symmetric key of AWS KMS. Its region is in the ARN.' }),
  endpoint: z.url({ protocol: /^https?$/ }).optional(),
  accounts: z.array(z.string().trim().min(1)).optional().meta({
    description:
      'Accounts of who opens with it, as `moraine audit show` writes them after "person:": they may ask for retrievals.',
  }),
});

export type KmsConfig = z.output<typeof kmsConfigSchema>;

export function regionOfKey(arn: string): string {
  const region = KEY_ARN.exec(arn)?.[2];
  if (region === undefined) throw new MoraineError('INTERNAL', `${arn} is no ARN of a KMS key.`);
  return region;
}

/** `keys.kms`, and the owners' own. */
export interface KmsKeys {
  readonly default: KmsConfig | null;
  readonly owners: ReadonlyMap<OwnerId, KmsConfig>;
}

/** An owner's own key goes before the one that is for all. */
export function kmsKeyOf(keys: KmsKeys | undefined, owner: OwnerId): KmsConfig | null {
  return keys?.owners.get(owner) ?? keys?.default ?? null;
}

/** Each key once, the one for all first. */
export function allKmsKeys(keys: KmsKeys | undefined): readonly KmsConfig[] {
  if (keys === undefined) return [];
  const all = [...(keys.default === null ? [] : [keys.default]), ...keys.owners.values()];
  return [...new Map(all.map((each) => [each.key, each])).values()];
}
