/**
 * All commands. Help of the whole needs their names only, so a command's file, with all that it imports, is loaded when
 * it is the one that was called.
 */
import type { Command } from 'commander';

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly load: () => Promise<Command>;
}

const START = 'To begin:';
const ACT = 'The life of an archive:';
const LOOK = 'To look:';
const BACK = 'To get records back:';
const PROVE = 'To prove:';
const SERVE = 'To keep running:';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: "write moraine.yaml, an example policy and an administrator's identity",
    group: START,
    load: async () => (await import('./init.ts')).initCommand(),
  },
  {
    name: 'demo',
    summary: 'the whole life on the local stack, with sample data',
    group: START,
    load: async () => (await import('./demo.ts')).demoCommand(),
  },
  {
    name: 'stack',
    summary: 'the local stack: MongoDB, Redis, Glacier and S3 on this machine',
    group: START,
    load: async () => (await import('./stack.ts')).stackCommand(),
  },
  {
    name: 'administrator',
    summary: 'identities of administrators: the only keys that open archives',
    group: START,
    load: async () => (await import('./administrator.ts')).administratorCommand(),
  },
  {
    name: 'check',
    summary: 'configuration, policies, indexes, access, clocks',
    group: START,
    load: async () => (await import('./check.ts')).checkCommand(),
  },
  {
    name: 'iam',
    summary: 'least-privilege policies of AWS for the roles of this installation',
    group: START,
    load: async () => (await import('./iam.ts')).iamCommand(),
  },
  {
    name: 'plan',
    summary: 'what is due, per owner and customer, and why the rest is not; changes nothing',
    group: ACT,
    load: async () => (await import('./plan.ts')).planCommand(),
  },
  {
    name: 'policy',
    summary: 'put policies into force, show and list them',
    group: ACT,
    load: async () => (await import('./policy.ts')).policyCommand(),
  },
  {
    name: 'run',
    summary: 'plan, archive, verify and clear what is due now',
    group: ACT,
    load: async () => (await import('./run.ts')).runCommand(),
  },
  {
    name: 'purge',
    summary: 'destroy the archives whose period is over',
    group: ACT,
    load: async () => (await import('./purge.ts')).purgeCommand(),
  },
  {
    name: 'reschedule',
    summary: 'another purge date for archives that exist',
    group: ACT,
    load: async () => (await import('./reschedule.ts')).rescheduleCommand(),
  },
  {
    name: 'approve',
    summary: 'what takes a second person: list, show, grant, refuse',
    group: ACT,
    load: async () => (await import('./approve.ts')).approveCommand(),
  },
  {
    name: 'exception',
    summary: 'exceptions from a policy: request, list, show, end',
    group: ACT,
    load: async () => (await import('./exception.ts')).exceptionCommand(),
  },
  {
    name: 'hold',
    summary: 'legal holds: place, release, list',
    group: ACT,
    load: async () => (await import('./hold.ts')).holdCommand(),
  },
  {
    name: 'pause',
    summary: 'a brake: stop the work of a policy, an owner or everything; list what is stopped',
    group: ACT,
    load: async () => (await import('./pause.ts')).pauseCommand(),
  },
  {
    name: 'resume',
    summary: 'lift a pause',
    group: ACT,
    load: async () => (await import('./pause.ts')).resumeCommand(),
  },
  {
    name: 'migrate',
    summary: 'move archives to another vault; delete the old copies by approval',
    group: ACT,
    load: async () => (await import('./migrate.ts')).migrateCommand(),
  },
  {
    name: 'keys',
    summary: 'the key stores: status, align two of them, replay destructions after a backup',
    group: ACT,
    load: async () => (await import('./keys.ts')).keysCommand(),
  },
  {
    name: 'reconcile',
    summary: 'the ledger against the vaults and the source, both ways',
    group: ACT,
    load: async () => (await import('./reconcile.ts')).reconcileCommand(),
  },
  {
    name: 'stray',
    summary: 'archives that the ledger does not know: list, adopt, dispose',
    group: ACT,
    load: async () => (await import('./stray.ts')).strayCommand(),
  },
  {
    name: 'rebuild',
    summary: 'a lost ledger, anew from the vaults',
    group: ACT,
    load: async () => (await import('./rebuild.ts')).rebuildCommand(),
  },
  {
    name: 'notify',
    summary: 'tell owners what is in force and what will be destroyed; who was told what',
    group: ACT,
    load: async () => (await import('./notify.ts')).notifyCommand(),
  },
  {
    name: 'status',
    summary: 'archives by state, what is overdue, what waits for a person',
    group: LOOK,
    load: async () => (await import('./status.ts')).statusCommand(),
  },
  {
    name: 'archives',
    summary: 'list archives',
    group: LOOK,
    load: async () => (await import('./archives.ts')).archivesCommand(),
  },
  {
    name: 'archive',
    summary: 'everything about one archive',
    group: LOOK,
    load: async () => (await import('./archive.ts')).archiveCommand(),
  },
  {
    name: 'explain',
    summary: 'where a record is, and why',
    group: LOOK,
    load: async () => (await import('./explain.ts')).explainCommand(),
  },
  {
    name: 'quarantine',
    summary: 'records and archives that cannot be handled, and the ways out',
    group: LOOK,
    load: async () => (await import('./quarantine.ts')).quarantineCommand(),
  },
  {
    name: 'find',
    summary: 'which archives hold a record, a person, a customer, dates; from the ledger alone',
    group: BACK,
    load: async () => (await import('./find.ts')).findCommand(),
  },
  {
    name: 'retrieve',
    summary: 'ask the vaults for archives, or for one record; cost and time first',
    group: BACK,
    load: async () => (await import('./retrieve.ts')).retrieveCommand(),
  },
  {
    name: 'restore',
    summary: "get a retrieved archive's records out, as files or into MongoDB",
    group: BACK,
    load: async () => (await import('./restore.ts')).restoreCommand(),
  },
  {
    name: 'drill',
    summary: 'try that archives come back: some, at random, restored and compared',
    group: BACK,
    load: async () => (await import('./drill.ts')).drillCommand(),
  },
  {
    name: 'export',
    summary: 'everything that is kept of one customer, as files',
    group: BACK,
    load: async () => (await import('./export.ts')).exportCommand(),
  },
  {
    name: 'offboard',
    summary: 'a customer leaves: everything is returned, then destroyed with certificates',
    group: BACK,
    load: async () => (await import('./offboard.ts')).offboardCommand(),
  },
  {
    name: 'certificate',
    summary: 'certificates of destruction',
    group: PROVE,
    load: async () => (await import('./certificate.ts')).certificateCommand(),
  },
  {
    name: 'audit',
    summary: 'the audit chain',
    group: PROVE,
    load: async () => (await import('./audit.ts')).auditCommand(),
  },
  {
    name: 'worker',
    summary: 'the daemon: does everything by itself, on schedule',
    group: SERVE,
    load: async () => (await import('./worker.ts')).workerCommand(),
  },
  {
    name: 'console',
    summary: 'the dashboard',
    group: SERVE,
    load: async () => (await import('./console.ts')).consoleCommand(),
  },
];
