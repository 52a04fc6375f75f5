/** Dashboard, alert rules and documentation against the metrics and addresses that there are. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { COMMANDS } from '../../src/cli/commands.ts';
import { ROUTES } from '../../src/console/routes.ts';
import { createMetrics, METRICS } from '../../src/metrics.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(join(CHECKOUT, file), 'utf8');

const alerts = z
  .object({
    groups: z.array(
      z.object({
        rules: z.array(
          z.strictObject({
            alert: z.string().regex(/^Moraine[A-Za-z]+$/),
            expr: z.string(),
            for: z.string().optional(),
            labels: z.strictObject({ severity: z.enum(['warning', 'critical']) }),
            annotations: z.strictObject({ summary: z.string(), action: z.string() }),
          }),
        ),
      }),
    ),
  })
  .parse(parse(read('infra/dashboards/alerts.yaml')))
  .groups.flatMap(({ rules }) => rules);

const panels = z
  .object({
    panels: z.array(
      z.object({
        id: z.number(),
        title: z.string(),
        gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
        targets: z.array(z.object({ expr: z.string(), legendFormat: z.string() })).min(1),
      }),
    ),
  })
  .parse(JSON.parse(read('infra/dashboards/moraine.json'))).panels;

const isMetric = (name: string): name is keyof typeof METRICS => name in METRICS;

/** Names of metrics in an expression, each with the labels that it is asked by. */
function metricsIn(expr: string): readonly (readonly [name: string, labels: readonly string[]])[] {
  return [...expr.matchAll(/\b(moraine_\w+)(?:\{([^}]*)\})?/g)].map(([, name = '', labels = '']) => [
    name,
    [...labels.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  ]);
}

describe('expressions', () => {
  const all = [...alerts.map(({ expr }) => expr), ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))];

  it.each(all)('%s asks for metrics that there are, by labels that they have', (expr) => {
    const asked = metricsIn(expr);
    expect(asked.length).toBeGreaterThan(0);
    const known = new Set<string>();
    for (const [name, labels] of asked) {
      if (!isMetric(name)) throw new Error(`There is no metric ${name}.`);
      for (const label of METRICS[name].labels) known.add(label);
      for (const label of labels) expect(METRICS[name].labels, name).toContain(label);
    }
    for (const [, by = ''] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of by.split(',').map((text) => text.trim())) expect([...known, 'instance']).toContain(label);
    }
    expect(expr.split('(').length).toBe(expr.split(')').length);
  });

  it('every metric of the ledger and the queues that says of trouble has an alert', () => {
    const asked = new Set(alerts.flatMap(({ expr }) => metricsIn(expr).map(([name]) => name)));
    for (const name of [
      'moraine_alarms',
      'moraine_ledger_up',
      'moraine_oldest_overdue_record_seconds',
      'moraine_overdue_purges',
      'moraine_source_readable',
      'moraine_quarantine_open',
      'moraine_queue_up',
    ])
      expect(asked).toContain(name);
  });
});

describe('alerts', () => {
  it.each(alerts)(
    '$alert says what to do, with labels that its expression keeps and commands that there are',
    ({ expr, annotations }) => {
      const kept = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, by = '']) =>
        by.split(',').map((text) => text.trim()),
      );
      for (const [, label = ''] of Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g))
        expect(kept).toContain(label);
      for (const [, command = ''] of annotations.action.matchAll(/`moraine (\w+)/g))
        expect(COMMANDS.map(({ name }) => name)).toContain(command);
    },
  );

  it('no two have one name', () => {
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  });
});

describe('dashboard', () => {
  it('panels have ids of their own, fit the grid, and lie on no other', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });
});

describe('docs/console.md', () => {
  const page = read('docs/console.md');

  it('has every address of the API', () => {
    const addresses = [...page.matchAll(/^\| `(\/api\/[^`]+)`/gm)].map(([, address]) => address).sort();
    expect(addresses).toEqual([...ROUTES.map(({ api }) => api), '/api/certificates/:id/download'].sort());
  });

  it('has every metric with its labels and its meaning', () => {
    const rows = [...page.matchAll(/^\| `(moraine_\w+)` *\| ([^|]*?) *\| ([^|]*?) *\|$/gm)].map(
      ([, name, labels, help]) => [name, labels, help],
    );
    expect(rows).toEqual(Object.entries(METRICS).map(([name, { labels, help }]) => [name, labels.join(', '), help]));
  });
});

describe('process metrics', () => {
  it('count what the acts say about their progress, and forget gauges that are no longer given', async () => {
    const { progress, text } = createMetrics();
    progress.archived?.(3, 300);
    progress.archived?.(2, 200);
    progress.cleared?.('deleted', 4);
    progress.moved?.('archive', 'stored');
    const first = await text([{ name: 'moraine_archives', value: 7, labels: { policy: 'chats', state: 'stored' } }]);
    expect(first).toContain('moraine_process_archived_records_total 5');
    expect(first).toContain('moraine_process_archived_bytes_total 500');
    expect(first).toContain('moraine_process_cleared_records_total{outcome="deleted"} 4');
    expect(first).toContain('moraine_process_archive_moves_total{state="stored"} 1');
    expect(first).toContain('moraine_archives{policy="chats",state="stored"} 7');
    expect(await text([])).not.toContain('moraine_archives{');
  });

  it('names follow the rules of Prometheus', () => {
    for (const [name, { help, labels }] of Object.entries(METRICS)) {
      expect(name).toMatch(/^moraine_[a-z]+(_[a-z]+)*$/);
      expect(help).toMatch(/^[A-Z0-9].*[^.]$/);
      for (const label of labels) expect(label).toMatch(/^[a-z]+$/);
    }
  });
});
