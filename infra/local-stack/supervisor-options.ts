import { z } from 'zod';
import { SERVICES } from './services.ts';

/** What `ensureStack` tells the supervisor that it starts. */
export const supervisorOptions = z.object({
  stackDir: z.string(),
  way: z.enum(['docker', 'native']),
  services: z.array(z.enum(SERVICES)),
  checkout: z.string(),
  idleMs: z.number(),
  /** The URLs of the containers, which are up already; the native way finds its own. */
  urls: z.partialRecord(z.enum(SERVICES), z.string()),
});
export type SupervisorOptions = z.infer<typeof supervisorOptions>;
