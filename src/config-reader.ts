/** Reads single values of the environment, each as what it is meant to be, and remembers all that is wrong with them. */
import { AgentFlowError } from './errors.ts';

/** A bucket of requests: filled at `perSecond`, holding at most `burst`. */
export interface RateLimit {
  perSecond: number;
  burst: number;
}

/** HS256 keys shorter than the digest can be guessed (RFC 7518, 3.2). */
export const minSecretLength = 32;

export interface ConfigProblem {
  variable: string;
  message: string;
}

export const postgresProtocols = ['postgres:', 'postgresql:'];

export function throwProblems(problems: ConfigProblem[]): void {
  if (problems.length === 0) return;
  const lines = problems.map(({ variable, message }) => `  ${variable} ${message}`);
  throw new AgentFlowError('CONFIG_INVALID', `The environment is not acceptable:\n${lines.join('\n')}`, { details: { problems } });
}

/** Reads variables and remembers what is wrong with them. Values never get into messages: they may be secrets. */
export class Reader {
  readonly #env: NodeJS.ProcessEnv;
  readonly #problems: ConfigProblem[] = [];

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  wrong(variable: string, message: string): null {
    this.#problems.push({ variable, message });
    return null;
  }

  throwIfWrong(): void {
    throwProblems(this.#problems);
  }

  /** An empty variable counts as not set. */
  text(name: string): string | null {
    const value = this.#env[name]?.trim();
    return value === undefined || value === '' ? null : value;
  }

  secret(name: string): string | null {
    const value = this.text(name);
    return value !== null && value.length < minSecretLength ? this.wrong(name, `must have at least ${minSecretLength} characters`) : value;
  }

  url(name: string, protocols: readonly string[]): string | null {
    const value = this.text(name);
    if (value === null) return null;
    const url = URL.parse(value);
    if (url === null || !protocols.includes(url.protocol)) return this.wrong(name, `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`);
    if (protocols === postgresProtocols && url.pathname.length < 2) return this.wrong(name, 'must name a database: postgres://user:password@host:port/database');
    return value;
  }

  integer(name: string, otherwise: number, least: number, most: number): number {
    const value = this.text(name);
    if (value === null) return otherwise;
    const number = Number(value);
    if (/^\d+$/.test(value) && number >= least && number <= most) return number;
    this.wrong(name, `must be a whole number from ${least} to ${most}`);
    return otherwise;
  }

  /** From 1 to `most`; null when it is not set. */
  limit(name: string, most: number): number | null {
    return this.text(name) === null ? null : this.integer(name, most, 1, most);
  }

  /** `name=number` pairs, each name once, numbers from 1 to `most`. */
  limits(name: string, most: number): Record<string, number> {
    const entries = this.list(name, (entry) => {
      const [, key = '', number = ''] = /^([a-z][a-z0-9_-]{0,99})=(\d{1,6})$/.exec(entry) ?? [];
      return Number(number) >= 1 && Number(number) <= most ? [key, Number(number)] as const : null;
    }, `kind=number, the number from 1 to ${most}: llm=20,api=100`);
    const twice = entries.find(([key], index) => entries.findIndex(([other]) => other === key) < index);
    if (twice !== undefined) this.wrong(name, `names ${twice[0]} twice`);
    return Object.fromEntries(entries);
  }

  choice<T extends string>(name: string, choices: readonly T[], otherwise: T): T {
    const value = this.text(name);
    if (value === null) return otherwise;
    const chosen = choices.find((choice) => choice === value.toLowerCase());
    if (chosen === undefined) this.wrong(name, `must be one of ${choices.join(', ')}`);
    return chosen ?? otherwise;
  }

  flag(name: string): boolean | null {
    const value = this.text(name)?.toLowerCase() ?? null;
    if (value === null) return null;
    if (value === '1' || value === 'true') return true;
    return value === '0' || value === 'false' ? false : this.wrong(name, 'must be 1 or 0');
  }

  /** `<requests a second>[/<burst>]`, the burst being ten seconds' worth unless said; 0 for no limit. */
  rate(name: string, otherwise: RateLimit): RateLimit | null {
    const value = this.text(name);
    if (value === null) return otherwise;
    const [, perSecond = '', burst] = /^(\d{1,6})(?:\/(\d{1,8}))?$/.exec(value) ?? [];
    if (perSecond === '' || (burst !== undefined && Number(burst) < Number(perSecond))) {
      return this.wrong(name, 'must be requests a second and, at wish, a burst that is not smaller: 100/1000; or 0');
    }
    return Number(perSecond) === 0 ? null : { perSecond: Number(perSecond), burst: Number(burst ?? Number(perSecond) * 10) };
  }

  /** A number of hops, or a list of addresses and networks. */
  proxies(name: string): number | string[] {
    const value = this.text(name);
    if (value !== null && /^\d$/.test(value)) return Number(value);
    const entries = this.list(name, parseProxy, 'a number of proxies, or their addresses and networks (10.0.0.0/8, loopback)');
    return entries.length === 0 ? 0 : entries;
  }

  /** A regular expression, as its source. */
  pattern(name: string): string | null {
    const value = this.text(name);
    try {
      return value === null ? null : new RegExp(value).source;
    } catch {
      return this.wrong(name, 'must be a regular expression');
    }
  }

  /** Comma-separated. */
  list<T>(name: string, parse: (entry: string) => T | null, form: string): T[] {
    const entries = (this.text(name) ?? '').split(',').map((entry) => entry.trim()).filter((entry) => entry !== '');
    const parsed = entries.map(parse);
    parsed.forEach((value, index) => {
      if (value === null) this.wrong(name, `entry ${index + 1} is not of the form ${form}`);
    });
    return parsed.filter((value) => value !== null);
  }
}

export function parseHostPort(entry: string): string | null {
  const match = /^(?:\[[0-9a-f:]+\]|[a-z0-9.-]+):(\d{1,5})$/i.exec(entry);
  return match && Number(match[1]) >= 1 && Number(match[1]) <= 65_535 ? entry.toLowerCase() : null;
}

const proxyNames: ReadonlySet<string> = new Set(['loopback', 'linklocal', 'uniquelocal']);

function parseProxy(entry: string): string | null {
  const [address = '', bits, more] = entry.split('/');
  const isV4 = /^\d{1,3}(\.\d{1,3}){3}$/.test(address) && address.split('.').every((part) => Number(part) < 256);
  const isAddress = isV4 || /^[0-9a-f:]*:[0-9a-f:]*$/i.test(address);
  const isNetwork = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isV4 ? 32 : 128));
  return proxyNames.has(entry) || (isAddress && isNetwork && more === undefined) ? entry : null;
}

/** As browsers send it in the header Origin. */
export function parseOrigin(entry: string): string | null {
  if (entry === '*') return entry;
  const url = URL.parse(entry);
  return url !== null && /^https?:$/.test(url.protocol) && (url.origin === entry.toLowerCase() || `${url.origin}/` === entry.toLowerCase()) ? url.origin : null;
}
