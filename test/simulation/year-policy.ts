/** The policy that small lives cut by hand share: a year in use, a year in the vault. */
export function yearPolicy(options: { readonly verify?: 'inventory' } = {}): string {
  const verify = options.verify === undefined ? '' : `, verify: ${options.verify}`;
  return `
policy: chats
zone: UTC
dataset: { collection: data.chats, owner: { field: owner }, customer: { field: tenant } }
trigger: { field: at }
active: 1 year
then: archive
archive: { for: 1 year, vault: cold${verify}, dueWindow: 30 days }
limits: { records: 1000, share: 1.0 }
`;
}
