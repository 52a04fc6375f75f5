/** Who the sample data belongs to: three owners, each with several customers. Invented, all of them. */
export interface SampleOwner {
  readonly owner: string;
  readonly customers: readonly string[];
}

export const SAMPLE_OWNERS: readonly SampleOwner[] = [
  { owner: 'harbour-retail', customers: ['bluebell-flowers', 'oakline-furniture', 'kettle-and-co'] },
  { owner: 'lumen-energy', customers: ['lumen-home', 'lumen-business'] },
  { owner: 'quayside-care', customers: ['quayside-dental', 'quayside-optics', 'quayside-physio', 'quayside-pharmacy'] },
];

export interface SampleParty {
  readonly owner: string;
  readonly customer: string;
}

/** Every customer with its owner. */
export const SAMPLE_PARTIES: readonly SampleParty[] = SAMPLE_OWNERS.flatMap(({ owner, customers }) =>
  customers.map((customer) => ({ owner, customer })),
);
