/** What an installation is for. Stamped into the ledger when it is first written, and never changed (design 4). */
export const ENVIRONMENTS = ['sandbox', 'non-production', 'production'] as const;

/**
 * - `sandbox`: demos and tests: loopback endpoints only, and time may be moved.
 * - `non-production`: development, staging: real services, data that is not to outlive its active use.
 * - `production`.
 */
export type Environment = (typeof ENVIRONMENTS)[number];
