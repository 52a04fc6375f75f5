/** What the vaults hold, read from the emulator's folder: its files, its tombstones, and whose vault each lies in. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const vaultSchema = z.object({ name: z.string(), tags: z.record(z.string(), z.string()) });
const archiveSchema = z.object({
  id: z.string(),
  description: z.string(),
  bytes: z.number(),
  segments: z.array(z.object({ file: z.string() })),
  deletedAtMs: z.number().nullable(),
});

export interface VaultFile {
  readonly vault: string;
  readonly tags: Readonly<Record<string, string>>;
  /** The service's id. */
  readonly id: string;
  readonly description: string;
  readonly bytes: number;
  readonly isDeleted: boolean;
  /** Where its bytes lie, in order; empty once they are gone. */
  readonly paths: readonly string[];
}

export function readVaults(state: string): readonly VaultFile[] {
  const files: VaultFile[] = [];
  const regions = join(state, 'vaults');
  for (const region of entries(regions)) {
    for (const folder of entries(join(regions, region))) files.push(...readVault(join(regions, region, folder)));
  }
  return files;
}

function readVault(folder: string): readonly VaultFile[] {
  if (!existsSync(join(folder, 'vault.json'))) return [];
  const vault = vaultSchema.parse(JSON.parse(readFileSync(join(folder, 'vault.json'), 'utf8')));
  return entries(join(folder, 'archives'))
    .filter((name) => name.endsWith('.json'))
    .map((name) => {
      const text = readFileSync(join(folder, 'archives', name), 'utf8');
      const { id, description, bytes, segments, deletedAtMs } = archiveSchema.parse(JSON.parse(text));
      const paths = segments.map(({ file }) => join(folder, 'bodies', file));
      return { vault: vault.name, tags: vault.tags, id, description, bytes, isDeleted: deletedAtMs !== null, paths };
    });
}

function entries(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
