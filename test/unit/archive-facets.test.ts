import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { FacetCollector, facetCode } from '../../src/archive/facets.ts';

const hmac = (data: string | Uint8Array) => createHmac('sha256', 'owner key').update(data).digest();

test('facets: values of all records, once each, are found by the code that a hold computes', () => {
  const facets = new FacetCollector(hmac);
  facets.add({ subject: ['a@example.org', 'b@example.org'], ticket: ['7'] });
  facets.add({ subject: ['a@example.org'], ticket: [] });
  const result = facets.result();
  expect(result).toEqual({
    coversEverything: false,
    codes: [
      facetCode(hmac, 'subject', 'a@example.org'),
      facetCode(hmac, 'subject', 'b@example.org'),
      facetCode(hmac, 'ticket', '7'),
    ].sort(),
  });
  expect(JSON.stringify(result)).not.toContain('example.org');
});

test('facets: the same text under another name or another key is another code', () => {
  const other = (data: string | Uint8Array) => createHmac('sha256', 'other owner').update(data).digest();
  const codes = [
    facetCode(hmac, 'a', 'b'),
    facetCode(hmac, 'b', 'a'),
    facetCode(hmac, 'a","b', ''),
    facetCode(other, 'a', 'b'),
  ];
  expect(new Set(codes).size).toBe(4);
});

test('facets: one value too many covers everything, also when later records have none', () => {
  const facets = new FacetCollector(hmac, 2);
  facets.add({ subject: ['1', '2'] });
  expect(facets.result().coversEverything).toBe(false);
  facets.add({ subject: ['3'] });
  facets.add({});
  expect(facets.result()).toEqual({ coversEverything: true });
});
