/** Figures of a process for Prometheus, in its text format (version 0.0.4). Labels are words of ours, never a tenant's: their number has a bound, and nobody's name is told. */

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels: Labels, by?: number): void;
}

export interface Histogram {
  observe(labels: Labels, value: number): void;
}

/** What is read when somebody asks. */
export type Reading = readonly { labels: Labels; value: number }[];

interface Family {
  name: string;
  help: string;
  type: 'counter' | 'gauge' | 'histogram';
  lines(): string[] | Promise<string[]>;
}

export class Metrics {
  readonly #families = new Map<string, Family>();

  counter(name: string, help: string): Counter {
    const values = new Map<string, number>();
    this.#families.set(name, { name, help, type: 'counter', lines: () => [...values].map(([labels, value]) => `${name}${labels} ${value}`) });
    return {
      add(labels, by = 1) {
        const key = labelText(labels);
        values.set(key, (values.get(key) ?? 0) + by);
      },
    };
  }

  /** `bounds`: upper ones, rising; what is above the last counts as +Inf. */
  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const series = new Map<string, { labels: Labels; counts: number[]; sum: number; count: number }>();
    this.#families.set(name, {
      name, help, type: 'histogram',
      lines: () => [...series.values()].flatMap(({ labels, counts, sum, count }) => [
        ...bounds.map((bound, index) => `${name}_bucket${labelText({ ...labels, le: String(bound) })} ${counts[index]}`),
        `${name}_bucket${labelText({ ...labels, le: '+Inf' })} ${count}`, `${name}_sum${labelText(labels)} ${sum}`, `${name}_count${labelText(labels)} ${count}`,
      ]),
    });
    return {
      observe(labels, value) {
        const key = labelText(labels);
        const one = series.get(key) ?? { labels, counts: bounds.map(() => 0), sum: 0, count: 0 };
        series.set(key, one);
        bounds.forEach((bound, index) => {
          if (value <= bound) one.counts[index]! += 1;
        });
        one.sum += value;
        one.count += 1;
      },
    };
  }

  /** `read` gives nothing for what it does not know. */
  gauge(name: string, help: string, read: () => Reading | Promise<Reading>, type: 'gauge' | 'counter' = 'gauge'): void {
    this.#families.set(name, { name, help, type, lines: async () => (await read()).map(({ labels, value }) => `${name}${labelText(labels)} ${value}`) });
  }

  async text(): Promise<string> {
    const families = await Promise.all([...this.#families.values()].map(async ({ name, help, type, lines }) => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...await lines()]));
    return `${families.flat().join('\n')}\n`;
  }
}

export const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

export const one = (value: number): Reading => [{ labels: {}, value }];

/** Of the process itself, under the names that everybody uses. */
export function addProcessMetrics(metrics: Metrics): void {
  metrics.gauge('process_cpu_seconds_total', 'CPU time that the process has used.', () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  }, 'counter');
  metrics.gauge('process_resident_memory_bytes', 'Memory of the process.', () => one(process.memoryUsage.rss()));
  metrics.gauge('nodejs_heap_used_bytes', 'Of it, what JavaScript holds.', () => one(process.memoryUsage().heapUsed));
  metrics.gauge('process_start_time_seconds', 'When it started, in seconds since 1970.', () => one(Math.round(Date.now() / 1000 - process.uptime())));
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels);
  return entries.length === 0 ? '' : `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
