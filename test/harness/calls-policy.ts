/** The policy that command line tests of brakes and quarantine share: a year in use, three in the vault, one owner. */
export function callsPolicy(name: string, namespace: string, options: { readonly facets?: string } = {}): string {
  const facets = options.facets === undefined ? '' : `, facets: ${options.facets}`;
  return [
    `policy: ${name}`,
    'zone: UTC',
    `dataset: { collection: ${namespace}, owner: { value: acme }, customer: { field: tenant }${facets} }`,
    'trigger: { field: at }',
    'active: 1 year',
    'then: archive',
    'archive: { for: 3 years, vault: cold, verify: checksum, maxWait: 1 day }',
    'limits: { records: 1000, share: 1.0 }',
    '',
  ].join('\n');
}
