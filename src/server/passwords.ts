/** Rules for new passwords, and their hashes. bcrypt works in threads of its own, off the event loop, and on half of the processors at most. */
import os from 'node:os';
import bcrypt from 'bcrypt';
import { AgentFlowError } from '../errors.ts';
import { AtMost } from './at-most.ts';

const cost = 12;
const minPasswordLength = 10;
/** bcrypt looks at no more. */
const maxPasswordBytes = 72;
/** Of passwords that wait to be looked at: half a minute's worth, where there are two processors. */
const maxWaiting = 100;
/** Whoever sends a hundred passwords at once must not keep other requests from the processors for seconds. */
const lanes = new AtMost(Math.max(1, Math.floor(os.availableParallelism() / 2)), maxWaiting, () =>
  new AgentFlowError('RATE_LIMITED', 'Too many passwords are being checked.', { details: { retryAfter: 5, limit: 'passwords' } }));
/** A part of one's own name or address this long makes a password easy to guess. */
const minOwnWord = 4;

/** Compared with when there is no such account, so that it costs the same. The hash of a random text, at the cost of real ones. */
const hashOfNobody = '$2b$12$L7ZCHQDqHleaz0NJ6YCOkOJNKX5n06d05WOvxI9py2sHz4jD2uVsC';

/** Takes the same time whether there is a hash or not, and whatever the password is. Throws RATE_LIMITED when too many wait. */
export async function isPassword(password: string, hash: string | null): Promise<boolean> {
  const isPossible = Buffer.byteLength(password) <= maxPasswordBytes && !password.includes('\0');
  const matches = await lanes.run(() => bcrypt.compare(isPossible ? password : '', hash ?? hashOfNobody));
  return matches && isPossible && hash !== null;
}

/** The hash of a new password. Throws INVALID_VALUE with every rule that it breaks, or RATE_LIMITED. `own`: name and address of its owner; `field`: where it was given. */
export async function hashNewPassword(password: string, own: readonly string[], field = 'password'): Promise<string> {
  const problems = await passwordProblems(password, own);
  if (problems.length > 0) {
    throw new AgentFlowError('INVALID_VALUE', problems[0], {
      remedy: 'Choose another password; several words that have nothing to do with each other are good.',
      details: { field, problems: problems.map((message) => ({ message })) },
    });
  }
  return await lanes.run(() => bcrypt.hash(password, cost));
}

async function passwordProblems(password: string, own: readonly string[]): Promise<string[]> {
  const problems = [
    [...password].length < minPasswordLength ? `A password has at least ${minPasswordLength} characters.` : null,
    Buffer.byteLength(password) > maxPasswordBytes ? `A password has at most ${maxPasswordBytes} bytes.` : null,
    password.includes('\0') ? 'A password cannot contain the character NUL.' : null,
    // All halves become the same bytes, so that any other one would be the same password.
    password.isWellFormed() ? null : 'A password cannot contain half of a surrogate pair.',
    isMonotonous(password) ? 'This password is a mere repetition or sequence.' : null,
    hasOwnWord(password, own) ? 'A password must not contain your name or address.' : null,
    await isCommon(password) ? 'This password is among the most common ones.' : null,
  ];
  return problems.filter((problem) => problem !== null);
}

/** Few different characters, or all of them one step apart. */
function isMonotonous(password: string): boolean {
  if (new Set(password.toLowerCase()).size < 5) return true;
  const codes = [...password].map((character) => character.codePointAt(0)!);
  const steps = new Set(codes.slice(1).map((code, index) => code - codes[index]!));
  return steps.size === 1;
}

function hasOwnWord(password: string, own: readonly string[]): boolean {
  const text = password.toLowerCase();
  const words = own.flatMap((entry) => entry.toLowerCase().split(/[^\p{L}\p{N}]+/u)).filter((word) => word.length >= minOwnWord);
  return words.some((word) => text.includes(word));
}

let common: Promise<ReadonlySet<string>> | undefined;

/** Read when the first password is chosen: 49,000 words are of no use before. */
async function commonPasswords(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  return new Set(dictionary['passwords-common']);
}

const disguises: Readonly<Record<string, string>> = { '0': 'o', '1': 'l', '3': 'e', '4': 'a', '5': 's', '7': 't', '@': 'a', $: 's', '!': 'i' };

/** As it is, and without what people put around a word to satisfy rules: `P@ssw0rd2024!` is `password`. */
async function isCommon(password: string): Promise<boolean> {
  common ??= commonPasswords();
  const words = await common;
  const plain = password.toLowerCase();
  const core = plain.replace(/^[^\p{L}]+|[^\p{L}]+$/gu, '');
  const candidates = [plain, core, undisguised(plain), undisguised(core), undisguised(plain.replace(/[\d\W_]+$/u, ''))];
  return candidates.some((candidate) => candidate.length >= minOwnWord && words.has(candidate));
}

function undisguised(text: string): string {
  return text.replace(/[013457@$!]/g, (character) => disguises[character]!);
}
