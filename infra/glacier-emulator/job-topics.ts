import type { JobRecord, VaultRecord } from './records.ts';

/**
 * Who is to be told when a job completes: the topic that the job names, and the vault's own when it was set before the
 * completion and for this kind. A topic that is both is told once.
 */
export function topicsOf({ notifications }: VaultRecord, job: JobRecord): string[] {
  const topics = new Set<string>();
  if (job.topic !== null) topics.add(job.topic);
  const isOfVault =
    notifications?.events.includes(`${job.action}Completed`) === true && notifications.setAtMs <= job.completesAtMs;
  if (isOfVault) topics.add(notifications.topic);
  return [...topics];
}
